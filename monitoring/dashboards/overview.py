"""The page that is open all day: is the run worth anything, does it keep time, is somebody missing."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.declared import MORE_IS_BETTER, NONE_IS_GOOD, RUN, Page, Panel, Query, Row
from monitoring.dashboards.events import EVENTS

AT_A_GLANCE: Final = Row(
    "At a glance",
    (
        Panel(
            "Gain over the cloud",
            "Share of the delay that edge servers save, against sending every task to the cloud. Below 0 they harm.",
            "percentunit",
            (Query(f"run:edgerig_task_gain:ratio{{{RUN}}}"),),
            view="stat",
            thresholds=MORE_IS_BETTER,
            width=4,
            height=4,
        ),
        Panel(
            "Delay of a task, last slot",
            "Mean over all tasks that were completed in the last slot (T).",
            "s",
            (Query(f"edgerig_slot_delay_seconds{{{RUN}}}"),),
            view="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Slot",
            "Number of the last slot that was committed. It stands still when the run does.",
            "none",
            (Query(f"edgerig_slot_number{{{RUN}}}"),),
            view="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Slots a second",
            "Over half a minute. On the wall clock it is the pace that was asked for, or the machine is too slow.",
            "short",
            (Query(f"run:edgerig_slots:rate30s{{{RUN}}}"),),
            view="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Nodes that are there",
            "Nodes that the hub has heard of within the liveliness time.",
            "none",
            (Query(f"run:edgerig_nodes_up:sum{{{RUN}}}"),),
            view="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Nodes that are lost",
            "Nodes that are missed and that nobody has replaced; the page Health names them.",
            "none",
            (Query(f"run:edgerig_nodes_lost:count{{{RUN}}}"),),
            proof="fault",
            view="stat",
            thresholds=NONE_IS_GOOD,
            width=4,
            height=4,
        ),
    ),
)

TASKS: Final = Row(
    "Tasks",
    (
        Panel(
            "Delay of a task",
            "The mean over half a minute, its 95th percentile over five minutes, and what tasks would take if all of "
            "them went to the cloud.",
            "s",
            (
                Query(f"run:edgerig_task_delay_seconds:mean30s{{{RUN}}}", "mean"),
                Query(f"run:edgerig_task_delay_seconds:p95_5m{{{RUN}}}", "95th percentile"),
                Query(f"edgerig_slot_all_cloud_delay_seconds{{{RUN}}}", "all to the cloud"),
            ),
        ),
        Panel(
            "Tasks by where they ended",
            "Tasks a second: in their own cell's edge server, at a peer's, in the cloud, or dropped.",
            "ops",
            (Query(f"run_target:edgerig_tasks:rate30s{{{RUN}}}", "{{target}}"),),
            view="stacked",
        ),
        Panel(
            "Reward of a frame",
            "What the deployments of a frame were worth: seconds saved against the cloud, shared by all agents.",
            "s",
            (Query(f"edgerig_frame_reward_seconds{{{RUN}}}", "reward"),),
        ),
        Panel(
            "Reward of a slot (rental)",
            "Summed over all edge servers; money.",
            "short",
            (Query(f"edgerig_slot_reward_money{{{RUN}}}", "reward"),),
            proof="rental",
        ),
    ),
)

PAGE: Final = Page(
    "overview",
    "edgerig: overview",
    "What the run is worth, whether it keeps time, and who is missing.",
    (AT_A_GLANCE, TASKS),
    events=EVENTS,
)
