"""One ground for the scenarios of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

pytest.register_assert_rewrite("tests.integration.scenarios.ground")  # before it is loaded, for it asserts

from tests.integration.scenarios.ground import Ground  # noqa: E402 - see above

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import BootGuest
    from tests.integration.scenarios.scenario import Scenario


@pytest.fixture(scope="module")
def ground(request: pytest.FixtureRequest, boot_shared: BootGuest) -> Ground:
    """A guest that the scenarios of a file share; `MORE_DISKS` of the file has those beyond the usual ones."""
    module = cast("object", request.module)  # pyright: ignore[reportUnknownMemberType] - pytest leaves its type open
    return Ground(boot_shared, getattr(module, "MORE_DISKS", ()))


@pytest.fixture
def play(ground: Ground, record_property: Callable[[str, object], None]) -> Callable[[Scenario], None]:
    """Play a scenario, and put what it took into the account of the run."""
    account: dict[str, Any] = {}

    def one(scenario: Scenario) -> None:
        account["name"] = scenario.name
        record_property("scenario", account)
        ground.play(scenario, account.update)

    return one
