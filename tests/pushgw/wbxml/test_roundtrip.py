from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushgw.wbxml import Element, WbxmlError, XmlError, decode, element, encode, from_xml, to_xml
from pushgw.wbxml.pages import TOKENS

NAMES = st.sampled_from([(page, name) for page, names in TOKENS.items() for name in names])
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
# A busy machine is no failure of the code under test.
ON_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def leaves(values: st.SearchStrategy[str | bytes]) -> st.SearchStrategy[Element]:
    return st.builds(lambda tag, value: element(*tag, value), NAMES, values)


def documents(values: st.SearchStrategy[str | bytes]) -> st.SearchStrategy[Element]:
    def nest(inner: st.SearchStrategy[Element]) -> st.SearchStrategy[Element]:
        children = st.lists(inner, max_size=4)
        return st.builds(lambda tag, nested: element(*tag, *nested), NAMES, children)

    return st.recursive(leaves(values), nest, max_leaves=15)


@ON_ANY_MACHINE
@given(documents(TEXTS | st.binary()))
def test_what_is_written_is_read(root: Element) -> None:
    """Any element comes back from its bytes."""
    assert root == decode(encode(root))


@ON_ANY_MACHINE
@given(documents(TEXTS | st.binary().map(lambda data: data + b"\xff")))
def test_what_is_printed_is_read(root: Element) -> None:
    """Any element comes back from its XML, if its opaque data is not text."""
    assert root == from_xml(to_xml(root))


@ON_ANY_MACHINE
@given(st.binary(max_size=80))
def test_any_bytes_give_a_value_or_a_refusal(body: bytes) -> None:
    """After a good header no bytes lead to anything but an element or a WbxmlError."""
    try:
        root = decode(b"\x03\x01\x6a\x00" + body)
    except WbxmlError:
        return

    assert root == decode(encode(root))


@ON_ANY_MACHINE
@given(st.text(max_size=80))
def test_any_text_gives_a_value_or_a_refusal(text: str) -> None:
    """No text leads to anything but an element or an XmlError."""
    try:
        root = from_xml(f'<Ping xmlns="Ping:">{text}</Ping>')
    except XmlError:
        return

    assert root == from_xml(to_xml(root))
