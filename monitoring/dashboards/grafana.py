"""Declared pages as Grafana's JSON, by Grafana's own SDK. The only module that knows it; an extra of developers."""

from __future__ import annotations

import json
from typing import Any, Final

from grafana_foundation_sdk.builders import common as widgets
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, statetimeline, table, text, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from monitoring.dashboards.declared import Event, Page, Panel, Query, Threshold

SOURCE: Final = "edgerig-prometheus"
"""The data source's uid in monitoring/grafana/provisioning/datasources."""

TAG: Final = "edgerig"
SINCE: Final = "now-15m"
REFRESH: Final = "5s"
FILLED: Final = 30
SETTLED: Final = 10

_SOURCE: Final = common.DataSourceRef(type_val="prometheus", uid=SOURCE)


def rendered(page: Page) -> str:
    """A page as the JSON that Grafana reads."""
    document = json.loads(JSONEncoder().encode(made(page)))
    for each in (*document["links"], *document["annotations"]["list"]):
        del each["placement"]  # the SDK hides them in a menu
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def made(page: Page) -> models.Dashboard:
    """A page as an object of the SDK."""
    board = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.description)
        .tags([TAG])
        .time(SINCE, "now")
        .refresh(REFRESH)
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(_variable("run", "Run", "label_values(edgerig_slot_number, run)"))
        .link(_other_pages())
    )
    if page.asks_edge:
        edges = 'label_values(edgerig_decision_seconds_count{run="$run"}, edge)'
        board.with_variable(_variable("edge", "Edge server", edges))
    for event in page.events:
        board.annotation(_annotation(event))
    number = 0
    for row in page.rows:
        number += 1
        board.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            board.with_panel(_panel(panel).id(number))
    return board.build()


def _variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    # The run that began last comes first; edge servers come in their order.
    order = models.VariableSort.NATURAL_DESC if name == "run" else models.VariableSort.NUMERICAL_ASC
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query({"query": query, "refId": f"{name}s"})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(order)
        .include_all(False)
        .multi(False)
    )


def _other_pages() -> dashboard.DashboardLink:
    """Links to all pages with our tag, which keep the run, the edge server and the time."""
    return (
        dashboard.DashboardLink("Dashboards of edgerig")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
        .icon("external link")
    )


def _annotation(event: Event) -> dashboard.AnnotationQuery:
    mark = (
        dashboard.AnnotationQuery()
        .name(event.name)
        .datasource(_SOURCE)
        .enable(True)
        .icon_color(event.colour)
        .expr(event.expr)
        .title_format(event.name)
        .text_format(event.text)
        .step("2s")
    )
    return mark.use_value_for_time(True) if event.is_time else mark


def _panel(panel: Panel) -> Any:
    """The panel, with what all views have."""
    found = _VIEWS[panel.view](panel)
    found.title(panel.title).span(panel.width).height(panel.height)
    if panel.view == "text":
        return found
    found.description(panel.description).unit(panel.unit).datasource(_SOURCE)
    for number, query in enumerate(panel.queries):
        found.with_target(_target(panel, query, chr(ord("A") + number)))
    if panel.thresholds:
        found.thresholds(_thresholds(panel.thresholds))
    if panel.most is not None:
        found.min(0.0).max(panel.most)
    if panel.words:
        options = {f"{value:g}": models.ValueMappingResult(word, colour) for value, word, colour in panel.words}
        found.mappings([models.ValueMap(options)])
    return found


def _target(panel: Panel, query: Query, name: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(name).expr(query.expr).legend_format(query.legend or "__auto")
    if panel.view in ("table", "matrix"):
        return target.instant().format(PromQueryFormat.TABLE)
    return target.range()


def _thresholds(steps: tuple[Threshold, ...]) -> dashboard.ThresholdsConfig:
    made = [models.Threshold(value, colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)


def _lines(panel: Panel) -> timeseries.Panel:
    # The latest value in the legend: with fifty edge servers a table of them reads better than fifty lines.
    legend = (
        widgets.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.TABLE if len(panel.queries) < 3 else common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull"])
    )
    found = timeseries.Panel().legend(legend).fill_opacity(SETTLED).show_points(common.VisibilityMode.NEVER)
    if panel.thresholds:
        found.thresholds_style(widgets.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED))
    return found


def _stacked(panel: Panel) -> timeseries.Panel:
    stacking = widgets.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
    return _lines(panel).fill_opacity(FILLED).stacking(stacking)


def _stat(panel: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .reduce_options(widgets.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.VALUE if panel.thresholds else common.BigValueColorMode.NONE)
    )


def _names(_panel: Panel) -> stat.Panel:
    latest = widgets.ReduceDataOptions().calcs(["lastNotNull"])
    names = common.BigValueTextMode.NAME
    return stat.Panel().reduce_options(latest).graph_mode(common.BigValueGraphMode.NONE).text_mode(names)


def _timeline(_panel: Panel) -> statetimeline.Panel:
    return statetimeline.Panel().show_value(common.VisibilityMode.AUTO).merge_values(True)


def _table(panel: Panel) -> table.Panel:
    # Prometheus gives every series a column of the time and one for each of its labels.
    hidden = dict.fromkeys(("Time", "__name__", "job", "run", "alertstate"), True)
    names = {f"Value #{chr(ord('A') + k)}": query.legend for k, query in enumerate(panel.queries) if query.legend}
    tidy = models.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden, "renameByName": names})
    merged = models.DataTransformerConfig(id_val="merge", options={})
    return table.Panel().transformations([merged, tidy] if len(panel.queries) > 1 else [tidy])


def _matrix(_panel: Panel) -> table.Panel:
    options = {"rowField": "instance", "columnField": "receiver", "valueField": "Value"}
    return table.Panel().transformations([models.DataTransformerConfig(id_val="groupingToMatrix", options=options)])


def _text(panel: Panel) -> text.Panel:
    return text.Panel().mode(TextMode.MARKDOWN).content(panel.description)


_VIEWS: Final[dict[str, Any]] = {
    "lines": _lines,
    "stacked": _stacked,
    "stat": _stat,
    "names": _names,
    "timeline": _timeline,
    "table": _table,
    "matrix": _matrix,
    "text": _text,
}
