"""Every line of the table of who may do what is of an operation that is there, and says what the references say."""

from stillframe.app import DOORS
from stillframe.coverage import operations
from stillframe.identity.policy import LINES, RULES, Operation, Rule, canonical, rule_of

READING_ACTIONS = {"ims:images:list", "ims:images:get", "ims:quotas:get"}
"""What IMS ReadOnlyAccess allows; every other action changes something."""


def _operations() -> list[Operation]:
    return [
        Operation(service, each.method, each.path)
        for service, packages in DOORS.items()
        for package in packages
        for each in operations(package.handlers)
        if each.missing is None
    ]


def test_every_rule_is_of_an_operation() -> None:
    there = {canonical(each) for each in _operations()}
    assert [" ".join(each) for each in RULES if each not in there] == []


def test_every_operation_is_in_the_table_once() -> None:
    assert len(LINES) == len(RULES)


def test_what_needs_no_token_is_what_the_table_says() -> None:
    for service, packages in DOORS.items():
        said = {(method, path.rstrip("/") or "/") for package in packages for method, path in package.OPEN_REQUESTS}
        there = {Operation(service, *pair) for pair in said} & set(RULES)
        assert {rule_of(each) for each in there} <= {Rule.OPEN}, service


def test_every_action_on_images_is_for_those_the_reference_names() -> None:
    """Readers list and look; all else needs a role that may write."""
    actions = [line for line in LINES if line.action and line.rule is not Rule.ADMIN]
    wrong = [line for line in actions if (line.action in READING_ACTIONS) != (line.rule is Rule.READER)]
    assert wrong == []
