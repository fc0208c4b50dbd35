"""WBXML as EAS uses it: bytes, the element they stand for, and an XML notation for people.

Bytes of a stranger go in, an `Element` or a `WbxmlError` comes out; nothing else does.
"""

from __future__ import annotations

from pushgw.wbxml.decoder import Limits, WbxmlError, decode
from pushgw.wbxml.element import Element, element
from pushgw.wbxml.encoder import EncodeError, encode
from pushgw.wbxml.xml import XmlError, from_xml, to_xml

__all__ = [
    "Element",
    "EncodeError",
    "Limits",
    "WbxmlError",
    "XmlError",
    "decode",
    "element",
    "encode",
    "from_xml",
    "to_xml",
]
