"""Every metric, declared once: what it is called in Prometheus, and which measurement it shows.

Nodes count into ``Measurements`` under short names; what is not declared here is not shown, and said so in the log.
"""

from __future__ import annotations

from typing import Final

from monitoring.bus_metrics import BUS, LINKS
from monitoring.metric import Metric

BY_SERVICE: Final = ("edge", "service")

WORLD: Final = (
    Metric("edgerig_task_delay_seconds", "histogram", "Delay of completed tasks.", "task_delay_seconds"),
    Metric("edgerig_tasks_total", "counter", "Tasks by where they ended.", "tasks", ("target",)),
    Metric(
        "edgerig_slot_delay_seconds",
        "gauge",
        "Mean delay per task of the last slot.",
        "slot_delay_seconds",
        where=(("scheme", "run"),),
    ),
    Metric(
        "edgerig_slot_all_cloud_delay_seconds",
        "gauge",
        "The same had the slot's tasks all gone to the cloud.",
        "slot_delay_seconds",
        where=(("scheme", "all_cloud"),),
    ),
    Metric(
        "edgerig_slot_target_delay_seconds",
        "gauge",
        "The mean delay that the scenario wants; absent where it wants none.",
        "slot_delay_seconds",
        where=(("scheme", "target"),),
    ),
    Metric("edgerig_frame_reward_seconds", "gauge", "Reward of the last frame.", "frame_reward_seconds"),
    Metric("edgerig_reward_seconds_total", "counter", "Sum of the frames' positive rewards.", "reward_seconds"),
    Metric("edgerig_slot_reward_money", "gauge", "Reward of the last slot, all edge servers (rental).", "slot_reward"),
    Metric("edgerig_edge_reward_money", "gauge", "Local reward of the last slot (rental).", "edge_reward", ("edge",)),
    Metric(
        "edgerig_rented_units", "gauge", "Units of compute rented in the last slot (rental).", "rented_units", ("edge",)
    ),
    Metric(
        "edgerig_completed_tasks_total",
        "counter",
        "Completed tasks of a cell, wherever they ended, or of an edge server's users (rental).",
        "completed_tasks",
        ("edge",),
    ),
    Metric(
        "edgerig_completed_delay_seconds_total",
        "counter",
        "Their delays, summed.",
        "completed_delay_seconds",
        ("edge",),
    ),
    Metric(
        "edgerig_service_tasks_total",
        "counter",
        "The same by service, of services that are deployed there now.",
        "service_tasks",
        BY_SERVICE,
    ),
    Metric(
        "edgerig_service_delay_seconds_total", "counter", "Their delays, summed.", "service_delay_seconds", BY_SERVICE
    ),
    Metric(
        "edgerig_executed_tasks_total",
        "counter",
        "Tasks that came to an edge server to be executed: its own cell's, and its peers'.",
        "executed_tasks",
        ("edge", "target"),
    ),
    Metric("edgerig_slot_seconds", "gauge", "What a slot stands for, emulated seconds.", "slot_seconds"),
    Metric("edgerig_slot_wall_seconds", "gauge", "How long a slot lasts on the wall clock.", "slot_wall_seconds"),
    Metric(
        "edgerig_slot_lag_seconds",
        "gauge",
        "How late the last slot began, seconds of the wall clock.",
        "slot_lag_seconds",
    ),
    Metric("edgerig_slot_number", "gauge", "Number of the last slot that was committed.", "slot"),
    Metric("edgerig_frame_number", "gauge", "Number of the frame of that slot.", "frame"),
)

DECISIONS: Final = (
    Metric(
        "edgerig_decision_seconds",
        "histogram",
        "From an edge server's observation to its agent's answer.",
        "decision_seconds",
        ("edge",),
    ),
    Metric(
        "edgerig_decisions_refused_total",
        "counter",
        "Decisions that an edge server did not accept.",
        "decisions_refused",
        ("reason",),
    ),
    Metric("edgerig_decisions_missed_total", "counter", "Frames that nobody decided for.", "decisions_missed"),
    Metric(
        "edgerig_foreign_frames_refused_total",
        "counter",
        "What foreign agents said that was not taken.",
        "foreign_refused",
        ("reason",),
    ),
    Metric(
        "edgerig_decision_age_slots",
        "gauge",
        "Slots since the decision that is in force was made.",
        "decision_age_slots",
        ("edge",),
    ),
    Metric(
        "edgerig_agent_info",
        "gauge",
        "1: who decides for an edge server.",
        "agent_info",
        ("edge", "agent", "version", "role"),
    ),
    Metric(
        "edgerig_swap_events_total",
        "counter",
        "What came of swaps, for each edge: asked, ready, handed over, cold start, bound, done, failed, rolled back.",
        "swap_events",
        ("reason",),
    ),
    Metric(
        "edgerig_negotiation_rounds_total",
        "counter",
        "Rounds of letters between agents, before decisions (rental).",
        "negotiation_rounds",
        ("edge",),
    ),
    Metric(
        "edgerig_inferences_total",
        "counter",
        "Times that an agent asked its network or rule: a decision, or the table it negotiates by (rental).",
        "inferences",
    ),
    Metric("edgerig_inference_seconds_total", "counter", "Wall time of that.", "inference_seconds"),
    Metric(
        "edgerig_negotiation_disagreement_ratio",
        "gauge",
        "Largest difference of an agent's last letter from a neighbour's, by the largest number in both (rental).",
        "negotiation_disagreement",
        ("edge",),
    ),
    Metric("edgerig_negotiations_total", "counter", "Decisions that agents negotiated.", "negotiations", ("edge",)),
    Metric(
        "edgerig_negotiation_disagreement_ratio_total",
        "counter",
        "The same disagreements, summed over decisions.",
        "negotiation_disagreements",
        ("edge",),
    ),
    Metric(
        "edgerig_local_value_money",
        "gauge",
        "What the last slot's rentals are worth by an agent's network, its neighbours' as they said; the sum over edge "
        "servers is the objective of P2.",
        "local_value",
        ("edge",),
    ),
    Metric("edgerig_local_values_total", "counter", "Slots that an agent has so valued.", "local_values", ("edge",)),
    Metric(
        "edgerig_local_value_gained_money_total",
        "counter",
        "Sum of those values that are above 0.",
        "local_value_gained",
        ("edge",),
    ),
    Metric(
        "edgerig_local_value_lost_money_total",
        "counter",
        "Sum of those below, their sign dropped.",
        "local_value_lost",
        ("edge",),
    ),
    Metric("edgerig_learning_loss", "gauge", "Loss of an agent's last step.", "learning_loss", ("edge",)),
    Metric(
        "edgerig_exploration_ratio",
        "gauge",
        "The probability with which a learning agent decides at random.",
        "exploration_share",
        ("edge",),
    ),
    Metric("edgerig_replay_frames", "gauge", "Frames in a learning agent's memory.", "replay_frames", ("edge",)),
    Metric("edgerig_frames_learned_total", "counter", "Frames that an agent has learned from.", "frames_learned"),
    Metric(
        "edgerig_frames_not_learned_total",
        "counter",
        "Frames that it let go: learning was slower than frames, or news of them did not come.",
        "frames_not_learned",
    ),
    Metric(
        "edgerig_learning_seconds_total",
        "counter",
        "Wall time of learning and of keeping what was learned, beside the loop.",
        "learning_seconds",
    ),
    Metric("edgerig_messages_late_total", "counter", "Messages that came after their deadline.", "late_messages"),
    Metric("edgerig_letters_absent_total", "counter", "Letters between agents that did not come.", "letters_absent"),
    Metric("edgerig_letters_malformed_total", "counter", "Letters that came and are none.", "letters_malformed"),
    Metric("edgerig_slots_late_total", "counter", "Wall-clock slots closed before everyone was done.", "slots_late"),
)

PROCESS: Final = (
    Metric("edgerig_node_up", "gauge", "1 while a node is there, 0 once it is lost (hub only).", "node_up", ("node",)),
    Metric("edgerig_process_nodes", "gauge", "Nodes of this process by role.", "process_nodes", ("role", "version")),
    Metric("edgerig_process_cpu_seconds_total", "counter", "Processor time of this process.", "process_cpu_seconds"),
    Metric("edgerig_process_memory_bytes", "gauge", "Resident memory of this process.", "process_memory_bytes"),
    Metric(
        "edgerig_process_start_time_seconds",
        "gauge",
        "When this process began, seconds since 1970.",
        "process_start_seconds",
    ),
    Metric(
        "edgerig_measurements_undeclared",
        "gauge",
        "Measurements that no metric shows; the log names them.",
        "measurements_undeclared",
    ),
)

METRICS: Final = (*WORLD, *DECISIONS, *BUS, *LINKS, *PROCESS)


def markdown() -> str:
    """The table of docs/metrics.md."""
    lines = ["| metric | kind | labels | what it is |", "|---|---|---|---|"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"
