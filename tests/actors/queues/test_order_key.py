"""The key of a job, with and without the signature of what made it."""

from actors.queues.order_key import SIGNATURE_LENGTH, shown_key, signature_of


def test_a_signature_tells_templates_apart_and_has_one_length() -> None:
    signatures = [signature_of(template) for template in ("{data.to}", "{data.from}", "", "🦊" * 1000)]
    assert len(set(signatures)) == 4
    assert {len(signature) for signature in signatures} == {SIGNATURE_LENGTH}
    assert signature_of("{data.to}") == signatures[0]


def test_a_key_is_shown_without_its_signature() -> None:
    assert shown_key(f"{signature_of('{data.to}')}+593") == "+593"


def test_what_orders_nothing_has_no_key_to_show() -> None:
    assert shown_key(signature_of("{data.to}")) is None
    assert shown_key(None) is None
