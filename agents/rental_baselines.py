"""Rental policies that learn nothing: always the same, at random, and a greedy rule on what one edge server observes.

Source: ours: the constant policies test a world before anybody learns in it, and N2O section VI compares with none of
these; the greedy rule is what an edge server can work out from its five numbers and a day's demand.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from agents.baselines import plain
from agents.errors import AgentError
from agents.rental_policy import RentalObservation, RentalOutcome, RentalPolicy, RentalSetting, register
from emulator.model.graph import Floats, distances
from emulator.model.mobility import raster
from emulator.model.rental import compute_s, rewards

HOURS = 24


class Constant:
    """Rents the same number of units in every slot."""

    observes: Literal["local"] = "local"

    def __init__(self, units: int) -> None:
        self._units = units

    def decide(self, observation: RentalObservation) -> int:
        """That number."""
        return self._units

    def after_slot(self, observation: RentalObservation, outcome: RentalOutcome) -> None:
        """Learns nothing."""


class RandomUnits:
    """Rents 0..K units, each as likely, drawn anew in every slot."""

    observes: Literal["local"] = "local"

    def __init__(self, setting: RentalSetting) -> None:
        self._setting = setting

    def decide(self, observation: RentalObservation) -> int:
        """Units drawn for the slot."""
        return int(self._setting.generator(observation.slot).integers(self._setting.plan.rental.units + 1))

    def after_slot(self, observation: RentalObservation, outcome: RentalOutcome) -> None:
        """Learns nothing."""


class GreedyRule:
    """Rents what would pay best if the users in range were spread equally over the edge servers they see.

    Expected tasks are users in range, over the edge servers in range of a user, times what a user around here asks for
    at this hour; the reward is the world's own with the delay in the server. Transmission is not foreseen.
    """

    observes: Literal["local"] = "local"

    def __init__(self, setting: RentalSetting) -> None:
        self._rental = setting.plan.rental
        self._asked = expected_requests(setting)

    def decide(self, observation: RentalObservation) -> int:
        """The number of units with the best expected reward; the least of equals."""
        _, users, _, price, hour = observation.values.tolist()
        tasks = np.array(users * self._asked[int(hour)])
        delay, values = self._rental.delay, self._rental.reward
        units = np.arange(self._rental.units + 1)
        wait_s = tasks * compute_s(units, tasks, delay.tasks_per_unit, delay.most_s, delay.law)
        expected = rewards(
            units, tasks, wait_s, np.array(price), worth=values.worth, weight=values.delay_weight, scale=values.scale
        )
        return int(np.argmax(expected))

    def after_slot(self, observation: RentalObservation, outcome: RentalOutcome) -> None:
        """Learns nothing."""


def expected_requests(setting: RentalSetting) -> Floats:
    """Tasks that one user in range of an edge server is expected to send it, by hour of the day, shape (24,).

    Source: ours: zones and edge servers in range, averaged over the places in range; demand over the slots of an hour.
    """
    plan, edge = setting.plan, setting.edge
    if edge is None:
        raise AgentError("greedy-rule decides for one edge server and was given none")
    places = raster(plan.sides_m)
    reach_m = plan.rental.sites.range_m
    here = places[distances(places, plan.sites[edge : edge + 1])[:, 0] <= reach_m]
    share = 1.0 / (distances(here, plan.sites) <= reach_m).sum(axis=1).mean()
    zones = np.bincount(plan.zones(here), minlength=plan.rates.shape[1])
    asked = (plan.rates * zones).sum(axis=1) / zones.sum()
    hours = np.array([plan.hour(row) for row in range(len(plan.rates))])
    counted = np.maximum(np.bincount(hours, minlength=HOURS), 1)
    return share * np.bincount(hours, weights=asked, minlength=HOURS) / counted


def _constant(setting: RentalSetting, name: str, text: str) -> RentalPolicy:
    most = setting.plan.rental.units
    if not text.isdecimal() or int(text) > most:
        raise AgentError(f"agent {name}: {text or 'nothing'} is no number of units; choose 0..{most} (rental.units)")
    return Constant(int(text))


@register("constant", "local")
def _constant_of(setting: RentalSetting, argument: str) -> RentalPolicy:
    return _constant(setting, f"constant:{argument}", argument)


@register("all1", "local")
def _all_one(setting: RentalSetting, argument: str) -> RentalPolicy:
    plain("all1", argument)
    return _constant(setting, "all1", "1")


@register("all2", "local")
def _all_two(setting: RentalSetting, argument: str) -> RentalPolicy:
    plain("all2", argument)
    return _constant(setting, "all2", "2")


@register("random", "local")
def _random(setting: RentalSetting, argument: str) -> RentalPolicy:
    plain("random", argument)
    return RandomUnits(setting)


@register("greedy-rule", "local")
def _greedy_rule(setting: RentalSetting, argument: str) -> RentalPolicy:
    plain("greedy-rule", argument)
    return GreedyRule(setting)
