"""For the tests of plugins: machines that were recorded, and what every plan must keep to."""

from pre_nixos.host.record import Recorder, Recording
from pre_nixos.host.replay import NotRecordedError, Replay
from pre_nixos.host.survey import Memo
from pre_nixos.testing.conformance import faults_of

__all__ = ["Memo", "NotRecordedError", "Recorder", "Recording", "Replay", "faults_of"]
