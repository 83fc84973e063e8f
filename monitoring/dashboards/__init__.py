"""Grafana's dashboards as code: what they show is declared here, and written as JSON by ``python -m``.

The JSON in ``monitoring/grafana/dashboards`` is what Grafana reads; a test makes it anew and compares.
"""
