"""What a command works with: two screens, the plugins, and the machine it was started on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.host.api import Host
    from pre_nixos.model.data import Data


class Session:
    """One run of the program. The registry and the host are made when a command first asks for them."""

    def __init__(
        self,
        *,
        stdout: TextIO,
        stderr: TextIO,
        stdin: TextIO,
        environ: Mapping[str, str],
        registry: Registry | None = None,
        host: Host | None = None,
        root: str | None = None,
    ) -> None:
        self.out = Screen(stdout, environ)
        """Results."""
        self.err = Screen(stderr, environ)
        """Messages."""
        self.stdin = stdin
        self.environ = environ
        self._registry = registry
        self._host = host
        self.root = root
        """Where this system's own files are, such as its logs; None for one that keeps none here."""

    @property
    def registry(self) -> Registry:
        """The plugins. Raises PluginError if one of them cannot be used."""
        if self._registry is None:
            from pre_nixos.hooks.registry import installed

            self._registry = installed()
        return self._registry

    @property
    def host(self) -> Host:
        """The machine this runs on."""
        if self._host is None:
            from pre_nixos.host.local import LocalHost

            self._host = LocalHost()
        return self._host

    @property
    def own_root(self) -> str:
        """Where this system's own files are, for what is about nothing else. Raises Complaint if it keeps none here."""
        if self.root is None:
            from pre_nixos.cli.complaint import Complaint

            raise Complaint("This is about the very system it runs on, and only its own command does it.")
        return self.root

    @property
    def can_ask(self) -> bool:
        """Whether a person is there to see a question and to answer it."""
        return self.stdin.isatty() and self.err.is_terminal

    def answer(self) -> str:
        """Read one line from the person; empty if there is none."""
        return self.stdin.readline().strip()

    def put_json(self, content: object) -> None:
        """Write a result as JSON."""
        import msgspec

        self.out.write(msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n")

    def put_document(self, document: Data, format: str) -> None:  # noqa: A002 - what it is called inside
        """Write a result that other programs, or this one, will read again."""
        from pre_nixos.model.codec import encode

        self.out.write(encode(document, format=format, owners=self.registry.writers).decode() + "\n")
