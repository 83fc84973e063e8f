"""Opening an ONNX file with onnxruntime, which is imported only then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from agents.errors import AgentError


def opened(path: Path) -> Any:
    """An onnxruntime session of one thread: sums must not depend on how many there are.

    Raises: AgentError: there is no such file, or onnxruntime cannot read it.
    """
    if not path.exists():
        raise AgentError(f"{path}: there is no such file; the export is for fewer edge servers, or not whole")
    # Read as the library loads: its own switch comes too late to keep it from writing an identifier into the user's
    # cache, from complaining where it cannot, and from a thread that reports home.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 -- its errors have no root of their own
        raise AgentError(f"{path}: onnxruntime cannot read it ({str(error).splitlines()[0]}); export again") from None
