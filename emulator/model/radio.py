"""The radio between users and edge servers: path loss, fading, and how long a task takes to send."""

from __future__ import annotations

import numpy as np

from emulator.model.graph import Floats


def fading(uniforms: Floats) -> Floats:
    """Power gain of a Rayleigh channel, exponential with mean 1, of the uniforms' shape.

    Args:
        uniforms: In [0, 1).
    Source: N2O section VI.A.1 (Rayleigh fading).
    """
    return -np.log1p(-uniforms)


def signal_to_noise(distance_m: Floats, gain: Floats, *, range_m: float, at_range: float, nearest_m: float) -> Floats:
    """Ratio of signal to noise after free-space path loss and fading.

    Args:
        distance_m: From user to edge server.
        gain: Power gain of the fading.
        range_m: How far a radio reaches.
        at_range: The mean ratio there, as a factor (10 is 10 dB).
        nearest_m: Nobody stands nearer to an antenna.
    Source: N2O section VI.A.1 (free-space path loss: the square of the distance); the level is ours.
    """
    ratio = range_m / np.maximum(distance_m, nearest_m)
    return at_range * (ratio * ratio) * gain


def efficiency(ratio: Floats, least: float) -> Floats:
    """Bits a second that a hertz carries, not less than ``least``.

    Args:
        ratio: Signal to noise, as a factor.
        least: bit/s/Hz of the most robust mode.
    Source: ours: Shannon's bound; N2O section VI.A.1 leaves the rate open.
    """
    return np.maximum(np.log2(1.0 + ratio), least)


def transmission_s(users: Floats, bandwidth_mhz: Floats, per_hertz: Floats, task_mbit: float, most_s: float) -> Floats:
    """Seconds to send a task where the spectrum is split equally over the users connected.

    Args:
        users: k_n, users connected to the edge server.
        bandwidth_mhz: Its spectrum.
        per_hertz: bit/s/Hz of the channel.
        task_mbit: Size of a task.
        most_s: Longest delay.
    Source: N2O section VI.A.2 (users and spectrum determine a user's bandwidth); min(5, k / bw) as in the authors'
        file, which is a task of 1 Mbit at 1 bit/s/Hz.
    """
    return np.minimum(most_s, task_mbit * users / (bandwidth_mhz * per_hertz))
