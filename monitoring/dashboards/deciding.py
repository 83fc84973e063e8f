"""The agents: how they decide, negotiate and learn."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.declared import LESS_IS_BETTER, RUN, Page, Panel, Query, Row
from monitoring.dashboards.events import EVENTS

AGENTS: Final = f'{RUN}, instance=~"/?agent.*"'
"""Processes of agents: called by their node, or by the nodes that share one."""

DECIDING: Final = Row(
    "Deciding",
    (
        Panel(
            "Who decides",
            "The agent of each edge server, its version, and whether it decides or stands by.",
            "none",
            (Query(f"edgerig_agent_info{{{RUN}}}"),),
            view="table",
        ),
        Panel(
            "Swaps",
            "What became of agents that were to take over, counted for each edge server. Failed and rolled back: those "
            "before decide; `swaps.csv` of the run folder says why.",
            "none",
            (Query(f"sum by (reason) (edgerig_swap_events_total{{{RUN}}})", "{{reason}}", calm=True),),
            proof="swap",
        ),
        Panel(
            "Time of a decision",
            "The 99th percentile over five minutes, at the five slowest edge servers and in the middle.",
            "s",
            (
                Query(f"topk(5, run_edge:edgerig_decision_seconds:p99_5m{{{RUN}}})", "edge server {{edge}}"),
                Query(f"quantile(0.5, run_edge:edgerig_decision_seconds:p99_5m{{{RUN}}})", "middle"),
            ),
            thresholds=LESS_IS_BETTER,
            width=8,
        ),
        Panel(
            "Memory of agents' processes",
            "Resident: the largest, and the one in the middle.",
            "bytes",
            (
                Query(f"max(edgerig_process_memory_bytes{{{AGENTS}}})", "largest"),
                Query(f"quantile(0.5, edgerig_process_memory_bytes{{{AGENTS}}})", "middle"),
            ),
            width=8,
        ),
        Panel(
            "Processors of agents' processes",
            "Processor seconds a second: the busiest, and all together.",
            "none",
            (
                Query(f"max(instance:edgerig_process_cpu:rate30s{{{AGENTS}}})", "busiest"),
                Query(f"sum(instance:edgerig_process_cpu:rate30s{{{AGENTS}}})", "all"),
            ),
            width=8,
        ),
    ),
)

NEGOTIATING: Final = Row(
    "N2O: negotiating (rental)",
    (
        Panel(
            "Rounds of letters",
            "Rounds a second, of an agent in the middle.",
            "ops",
            (Query(f"quantile(0.5, rate(edgerig_negotiation_rounds_total{{{RUN}}}[1m]))", "rounds"),),
            proof="rental",
            width=8,
        ),
        Panel(
            "Disagreement after the last round",
            "Largest difference of an agent's last letter from a neighbour's, by the largest number in both. It goes "
            "to 0 where agents have to agree (n2o, dual averaging); letters of other orchestrators are never the same.",
            "percentunit",
            (
                Query(f"max(edgerig_negotiation_disagreement_ratio{{{RUN}}})", "most"),
                Query(f"quantile(0.5, edgerig_negotiation_disagreement_ratio{{{RUN}}})", "middle"),
            ),
            proof="rental",
            width=8,
        ),
        Panel(
            "Letters that did not come",
            "A second: absent, and such that are none.",
            "ops",
            (
                Query(f"sum(rate(edgerig_letters_absent_total{{{RUN}}}[1m]))", "absent", calm=True),
                Query(f"sum(rate(edgerig_letters_malformed_total{{{RUN}}}[1m]))", "malformed", calm=True),
            ),
            proof="rental",
            width=8,
        ),
        Panel(
            "Objective of P2",
            "What the rentals of the last slot are worth by the local Q-networks: the sum of all agents' values, which "
            "negotiating is to raise; and the reward that came of them.",
            "short",
            (
                Query(f"sum(edgerig_local_value_money{{{RUN}}})", "objective"),
                Query(f"edgerig_slot_reward_money{{{RUN}}}", "reward of the slot"),
            ),
            proof="rental",
        ),
        Panel(
            "Value of an edge server's rental",
            "By its own network: the largest, the one in the middle and the least. Below 0 a rental costs more than "
            "it brings.",
            "short",
            (
                Query(f"max(edgerig_local_value_money{{{RUN}}})", "largest"),
                Query(f"quantile(0.5, edgerig_local_value_money{{{RUN}}})", "middle"),
                Query(f"min(edgerig_local_value_money{{{RUN}}})", "least"),
            ),
            proof="rental",
        ),
    ),
)

LEARNING: Final = Row(
    "TTOSC: learning",
    (
        Panel(
            "Loss",
            "Of the last step: the largest, and the one in the middle. There is none before the memory holds a batch.",
            "none",
            (
                Query(f"max(edgerig_learning_loss{{{RUN}}})", "largest"),
                Query(f"quantile(0.5, edgerig_learning_loss{{{RUN}}})", "middle"),
            ),
            proof="learning",
        ),
        Panel(
            "Exploration",
            "The probability with which agents decide at random (epsilon).",
            "percentunit",
            (Query(f"quantile(0.5, edgerig_exploration_ratio{{{RUN}}})", "middle"),),
            proof="learning",
            most=1.0,
        ),
        Panel(
            "Frames in the memory",
            "Experiences that an agent in the middle draws its batches from.",
            "none",
            (Query(f"quantile(0.5, edgerig_replay_frames{{{RUN}}})", "frames"),),
            proof="learning",
            width=8,
        ),
        Panel(
            "Frames learned from",
            "A second, all agents: learned from, and let go since learning was slower than frames.",
            "ops",
            (
                Query(f"sum(rate(edgerig_frames_learned_total{{{RUN}}}[1m]))", "learned from"),
                Query(f"sum(rate(edgerig_frames_not_learned_total{{{RUN}}}[1m]))", "let go", calm=True),
            ),
            proof="learning",
            width=8,
        ),
        Panel(
            "Time spent learning",
            "Share of the time that an agent learns beside its loop: the busiest one. At 1 it cannot keep up.",
            "percentunit",
            (Query(f"max(rate(edgerig_learning_seconds_total{{{RUN}}}[1m]))", "busiest"),),
            proof="learning",
            most=1.0,
            width=8,
        ),
    ),
)

PAGE: Final = Page(
    "agents",
    "edgerig: agents",
    "How agents decide, how those of the rental world negotiate, and how those that learn get on.",
    (DECIDING, NEGOTIATING, LEARNING),
    events=EVENTS,
)
