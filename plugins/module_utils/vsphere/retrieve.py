# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The property collector: properties of every object of a type, page by page, read straight into plain data."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import repeats
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import SHAPE, Unreadable, strange
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import (
    SoapFault,
    element,
    reason,
    reference,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import tag, value

_SELECT = (
    '<selectSet xsi:type="TraversalSpec"><name>view</name><type>ContainerView</type><path>view</path>'
    "<skip>false</skip></selectSet>"
)
MAX_UNKNOWN = 50


class Found(object):
    """One object: its type and id, values {path: plain data}, and missing {path: reason} of what was refused."""

    def __init__(self, ref_type, moid, values, missing):
        self.type = ref_type
        self.moid = moid
        self.values = values
        self.missing = missing


class Properties(object):
    """What to read of one type. paths: {property path: reader of its element}; page: objects in one answer.

    passed_over: (name of an element, values of its xsi:type), as bytes: what no reader looks at and is not even parsed.
    """

    def __init__(self, ref_type, paths, page=100, passed_over=()):
        self.type = ref_type
        self.paths = dict(paths)
        self.page = page
        self.passed_over = passed_over


def in_view(session, wanted, unknown):
    """Each object of the type below the root folder, as Found.

    A property that the server is too old for is left out of the question and noted in `unknown` {path: reason}. A
    session that expires half-way is renewed, and what had not been read by then is asked for again.
    """
    seen = set()
    for attempt in (1, 2):
        try:
            view = _create_view(session, wanted.type)
            try:
                for found in _pages(session, wanted, [("ContainerView", view)], _SELECT, unknown):
                    if found.moid not in seen:
                        seen.add(found.moid)
                        yield found
                return
            finally:
                _destroy(session, view)
        except SoapFault as error:
            # A renewed session knows neither the view nor the place where the pages had come to.
            if error.name not in ("ManagedObjectNotFound", "InvalidArgument") or not seen or attempt == 2:
                raise


def of_objects(session, wanted, references, unknown):
    """The same of objects that are known by reference (values.Ref)."""
    if references:
        yield from _pages(session, wanted, [(ref.type or wanted.type, ref) for ref in references], "", unknown)


def of_object(session, wanted, reference_of, unknown):
    """The same of one object.

    :raises Unreadable: the server says nothing of it.
    """
    for found in of_objects(session, wanted, [reference_of], unknown):
        return found
    raise Unreadable("the server says nothing of %s" % wanted.type)


def _create_view(session, ref_type):
    answer = session.call(
        "ViewManager",
        session.content["viewManager"],
        "CreateContainerView",
        reference("container", "Folder", session.content["rootFolder"])
        + element("type", ref_type)
        + element("recursive", "true"),
    )
    view = answer[0].text if answer and not len(answer[0]) else None
    if not view:
        raise Lost("%s: the server made no view of its objects" % session.endpoint)
    return view


def _destroy(session, view):
    try:
        session.call("ContainerView", view, "DestroyView")
    except Exception:  # pylint: disable=broad-except
        # The session's end removes it as well, and what is being raised matters more.
        return


def _pages(session, wanted, objects, select, unknown):
    collector = session.content["propertyCollector"]
    paths = {path: reader for path, reader in wanted.paths.items() if path not in unknown}
    known = repeats.Pages()

    def shorten(page):
        return known.shorten(repeats.without(page, *wanted.passed_over) if wanted.passed_over else page)

    while True:
        try:
            answer = session.call(
                "PropertyCollector", collector, "RetrievePropertiesEx", _spec(wanted, paths, objects, select), shorten
            )
            break
        except SoapFault as error:
            path = _unknown_path(error, paths)
            if path is None or len(unknown) > MAX_UNKNOWN:
                raise
            unknown[path] = "the server's version does not know the property %s" % path
            del paths[path]
    while answer:
        token = None
        for child in answer[0]:
            if tag(child) == "objects":
                yield _found(child, paths, known.read)
            elif tag(child) == "token":
                token = child.text
        if not token:
            return
        answer = session.call(
            "PropertyCollector", collector, "ContinueRetrievePropertiesEx", element("token", token), shorten
        )


def _spec(wanted, paths, objects, select):
    properties = "<propSet>%s<all>false</all>%s</propSet>" % (
        element("type", wanted.type),
        "".join(element("pathSet", path) for path in sorted(paths)),
    )
    skip = element("skip", "true" if select else "false")
    return "<specSet>%s%s</specSet><options>%s</options>" % (
        properties,
        "".join(
            "<objectSet>%s%s%s</objectSet>" % (reference("obj", ref_type, moid), skip, select)
            for ref_type, moid in objects
        ),
        element("maxObjects", wanted.page),
    )


def _unknown_path(error, paths):
    """The path that an InvalidProperty names; some servers name only its first steps, or its last."""
    if error.name != "InvalidProperty":
        return None
    name = str(error.detail.get("name", ""))
    if name in paths:
        return name
    whole = re.compile(r"(?:^|\.)%s(?:\.|$)" % re.escape(name))
    return next((path for path in sorted(paths) if name and whole.search(path)), None)


def _found(objects, readers, known):
    """known: {number: (path, value, reason)} of the properties that other objects have word for word."""
    values, missing = {}, {}
    ref_type, moid = "", ""
    for child in objects:
        name = tag(child)
        if name == "obj":
            ref_type, moid = child.get("type", ""), child.text or ""
        elif name == "propSet":
            numbers = child.get(repeats.SAME)
            if len(child) == 2:
                read = [_read(child, readers)]
                if numbers:
                    known[numbers] = read[0]
            else:
                read = [known[number] for number in (numbers or "").split() if number in known]
            for path, found, reason_of in read:
                if reason_of is not None:
                    missing[path] = reason_of
                elif path in readers:
                    values[path] = found
        elif name == "missingSet":
            missing.update(_missing(child))
    return Found(ref_type, moid, values, missing)


def _read(child, readers):
    """(path, value, None) of a property, or why it cannot be read in the third place."""
    path = child[0].text
    if path not in readers:
        return path, None, None
    try:
        return path, (readers[path] or value)(child[1]), None
    except SHAPE as error:
        return path, None, strange(error)


def _missing(child):
    found = value(child)
    fault = found.get("fault") if isinstance(found, dict) else None
    fault = fault if isinstance(fault, dict) else {}
    inner = fault.get("fault") if isinstance(fault.get("fault"), dict) else {}
    return {str(found.get("path")): reason(inner.get("_type", "refused"), fault.get("localizedMessage", ""), inner)}
