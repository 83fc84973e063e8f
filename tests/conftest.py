"""Makes ``tests/`` importable: helpers that several kinds of tests share lie beside this file."""
