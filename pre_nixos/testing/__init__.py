"""For the tests of plugins: machines that were recorded or written down, and what every plan must keep to."""

from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import PluginError, Registry, installed
from pre_nixos.host.pseudonyms import Pseudonyms, pseudonymise
from pre_nixos.host.questions import Bytes
from pre_nixos.host.record import Pair, Recorder, Recording
from pre_nixos.host.replay import NotRecordedError, Replay
from pre_nixos.host.survey import Memo
from pre_nixos.model.identity import assemble, resolve
from pre_nixos.testing.conformance import faults_of

__all__ = [
    "Bytes",
    "Calls",
    "Memo",
    "NotRecordedError",
    "Pair",
    "PluginError",
    "Pseudonyms",
    "Recorder",
    "Recording",
    "Registry",
    "Replay",
    "assemble",
    "faults_of",
    "installed",
    "pseudonymise",
    "resolve",
]
