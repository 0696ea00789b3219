"""What further arguments cryptsetup may be given when it makes a volume, and when it opens one."""

from __future__ import annotations

import msgspec

from pre_nixos.backends.arguments import Tool

KEYS = "keys are never arguments; write passwordFile, settings.keyFile or keys"
HEADER = (
    "the header belongs on the device; with one elsewhere nothing tells the volume from unknown data once it is "
    "closed, and it would be made anew"
)
FILE = "it reads or writes a file, and nothing but what it stands on is read or written"

_REFUSED = {
    "--header": HEADER,
    **dict.fromkeys(
        (
            *("--key-file", "-d", "--keyfile-size", "-l", "--keyfile-offset", "--key-description"),
            *("--new-keyfile", "--new-keyfile-size", "--new-keyfile-offset", "--new-key-description"),
            *("--master-key-file", "--volume-key-file", "--volume-key-keyring", "--link-vk-to-keyring"),
        ),
        KEYS,
    ),
    **dict.fromkeys(("--header-backup-file", "--json-file", "--external-tokens-path"), FILE),
}
MAKING = Tool(
    name="cryptsetup",
    letters="bcdhilopstIMST",
    long=(
        *("--align-payload", "--cipher", "--device-size", "--hash", "--integrity", "--iter-time", "--key-size"),
        *("--key-slot", "--keyslot-cipher", "--keyslot-key-size", "--label", "--luks2-keyslots-size"),
        *("--luks2-metadata-size", "--offset", "--pbkdf", "--pbkdf-force-iterations", "--pbkdf-memory"),
        *("--pbkdf-parallel", "--priority", "--progress-frequency", "--sector-size", "--size", "--skip"),
        *("--subsystem", "--timeout", "--token-id", "--token-type", "--tries", "--uuid"),
    ),
    refused={**_REFUSED, **dict.fromkeys(("--type", "-M"), "it is LUKS, and its version is said by extraFormatArgs")},
)
OPENING = msgspec.structs.replace(
    MAKING, refused={**_REFUSED, **dict.fromkeys(("--type", "-M"), "it is opened as what it was made as")}
)

__all__ = ["MAKING", "OPENING"]
