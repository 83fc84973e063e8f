"""The page that is open all day: is the run worth anything, does it keep time, is somebody missing."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.declared import (
    ABOUT_1,
    LESS_IS_BETTER,
    MORE_IS_BETTER,
    NONE_IS_GOOD,
    RUN,
    Page,
    Panel,
    Query,
    Row,
    stat,
)
from monitoring.dashboards.events import EVENTS

AT_A_GLANCE: Final = Row(
    "At a glance",
    (
        stat(
            "Gain over the cloud",
            "Share of the delay that edge servers save, against sending every task to the cloud. Below 0 they harm.",
            "percentunit",
            f"run:edgerig_task_gain:ratio{{{RUN}}}",
            thresholds=MORE_IS_BETTER,
        ),
        stat(
            "Delay of a task, last slot",
            "Mean over all tasks that were completed in the last slot (T).",
            "s",
            f"edgerig_slot_delay_seconds{{{RUN}}}",
        ),
        stat(
            "Slot",
            "Number of the last slot that was committed. It stands still when the run does.",
            "none",
            f"edgerig_slot_number{{{RUN}}}",
        ),
        stat(
            "Slots a second",
            "Over half a minute. On the wall clock it is the pace that was asked for, or the machine is too slow.",
            "short",
            f"run:edgerig_slots:rate30s{{{RUN}}}",
        ),
        stat(
            "Nodes that are there",
            "Nodes that the hub has heard of within the liveliness time.",
            "none",
            f"run:edgerig_nodes_up:sum{{{RUN}}}",
        ),
        stat(
            "Nodes that are lost",
            "Nodes that are missed and that nobody has replaced; the page Health names them.",
            "none",
            f"run:edgerig_nodes_lost:count{{{RUN}}}",
            proof="fault",
            thresholds=NONE_IS_GOOD,
        ),
    ),
)

TASKS: Final = Row(
    "Tasks",
    (
        Panel(
            "Delay of a task",
            "The mean over half a minute, its 95th percentile over five minutes, what tasks would take if all of them "
            "went to the cloud, and what the scenario wants (target_delay_s), where it wants anything.",
            "s",
            (
                Query(f"run:edgerig_task_delay_seconds:mean30s{{{RUN}}}", "mean"),
                Query(f"run:edgerig_task_delay_seconds:p95_5m{{{RUN}}}", "95th percentile"),
                Query(f"edgerig_slot_all_cloud_delay_seconds{{{RUN}}}", "all to the cloud"),
                Query(f"edgerig_slot_target_delay_seconds{{{RUN}}}", "target"),
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
            "Summed over all edge servers; money. Only in the rental world.",
            "short",
            (Query(f"edgerig_slot_reward_money{{{RUN}}}", "reward"),),
            proof="rental",
        ),
        Panel(
            "Delay by cell",
            "Mean over a minute in the cell that waits longest, in the middle one and in the one that waits least: "
            "readable with five cells and with fifty.",
            "s",
            (
                Query(f"max(run_edge:edgerig_cell_delay_seconds:mean1m{{{RUN}}})", "longest"),
                Query(f"quantile(0.5, run_edge:edgerig_cell_delay_seconds:mean1m{{{RUN}}})", "middle"),
                Query(f"min(run_edge:edgerig_cell_delay_seconds:mean1m{{{RUN}}})", "shortest"),
            ),
        ),
        Panel(
            "Fairness among cells",
            "Jain's index of the cells' delays: 1 when all wait equally long, 1/N when one waits and nobody else.",
            "percentunit",
            (
                Query(
                    f"sum(run_edge:edgerig_cell_delay_seconds:mean1m{{{RUN}}}) ^ 2 / "
                    f"(count(run_edge:edgerig_cell_delay_seconds:mean1m{{{RUN}}}) * "
                    f"sum(run_edge:edgerig_cell_delay_seconds:mean1m{{{RUN}}} ^ 2))",
                    "Jain's index",
                ),
            ),
            most=1.0,
        ),
    ),
)

DECISIONS: Final = Row(
    "Decisions and time",
    (
        Panel(
            "Age of decisions",
            "Slots since the decision in force was made, at the edge server that has waited longest and in the middle. "
            "It grows beyond a frame when decisions are late, refused or missing.",
            "none",
            (
                Query(f"max(edgerig_decision_age_slots{{{RUN}}})", "oldest"),
                Query(f"quantile(0.5, edgerig_decision_age_slots{{{RUN}}})", "middle", calm=True),
            ),
            proof="fault",
        ),
        Panel(
            "Late, missed and refused",
            "A second, all edge servers: decisions refused by reason, frames that nobody decided for, messages that "
            "came after their deadline, and slots closed before everyone was done.",
            "ops",
            (
                Query(
                    f"sum by (reason) (rate(edgerig_decisions_refused_total{{{RUN}}}[1m]))",
                    "decision refused: {{reason}}",
                ),
                Query(f"sum(rate(edgerig_decisions_missed_total{{{RUN}}}[1m]))", "decision missed"),
                Query(f"sum(rate(edgerig_messages_late_total{{{RUN}}}[1m]))", "message late", calm=True),
                Query(f"rate(edgerig_slots_late_total{{{RUN}}}[1m])", "slot late", calm=True),
            ),
            proof="fault",
            view="stacked",
        ),
        Panel(
            "Slot lag",
            "How late the last slot began, on the wall clock. The hub catches up with small lags.",
            "s",
            (Query(f"edgerig_slot_lag_seconds{{{RUN}}}", "lag"),),
            thresholds=LESS_IS_BETTER,
            width=8,
        ),
        Panel(
            "Pace kept",
            "Slots that end in the time in which one should: less than 1 and the machine is too slow. Only on the wall "
            "clock.",
            "percentunit",
            (Query(f"run:edgerig_pace_kept:ratio30s{{{RUN}}}", "pace kept"),),
            thresholds=ABOUT_1,
            width=8,
        ),
        Panel(
            "Real-time factor",
            "Emulated seconds that pass in a second.",
            "none",
            (Query(f"run:edgerig_real_time:factor30s{{{RUN}}}", "emulated seconds a second"),),
            width=8,
        ),
    ),
)

WHO: Final = Row(
    "Who decides, and where the rest is",
    (
        Panel(
            "Agents by version and role",
            "How many edge servers each agent decides for, or stands by for since a swap.",
            "none",
            (
                Query(
                    f"topk(10, count by (agent, version, role) (edgerig_agent_info{{{RUN}}}))",
                    "{{agent}} {{version}}, {{role}}",
                ),
            ),
            proof="swap",
            view="stacked",
        ),
        Panel(
            "Run folder and logs",
            "The run's folder is `runs/$run` in the volume of the same name. In the checkout:\n\n"
            "* `docker compose cp hub:/edgerig/runs/$run .` copies it, also while the run goes on: `slots.csv`, "
            "`frames.csv`, `messages.csv`, `timing.csv`, `summary.json`\n"
            "* `docker compose logs -f hub` (or `agent`, `edge`, `cloud`, `demand`)\n"
            "* `docker compose exec hub edgerig clock status` names who holds a slot\n"
            "* `docker compose exec hub edgerig node list` shows who takes part",
            view="text",
        ),
    ),
)

PAGE: Final = Page(
    "overview",
    "edgerig: overview",
    "What the run is worth, whether it keeps time, and who is missing.",
    (AT_A_GLANCE, TASKS, DECISIONS, WHO),
    events=EVENTS,
)
