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
    elements,
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

    @property
    def name(self):
        """Its name; its id where the name was not read."""
        return self.values.get("name", self.moid)


class Properties(object):
    """What to read of one type. paths: {property path: reader of its element}; page: objects in one answer.

    passed_over: (name of an element, values of its xsi:type), as bytes: what no reader looks at and is not even parsed.
    """

    def __init__(self, ref_type, paths, page=100, passed_over=()):
        self.type = ref_type
        self.paths = dict(paths)
        self.page = page
        self.passed_over = passed_over


def begin(session, wanted, unknown):
    """Ask for the first page of an in_view, for the server to make it while something else is read; its `begun`."""
    view, reader = _viewed(session, wanted, unknown)
    reader.begin()
    return view, reader


def in_view(session, wanted, unknown, make=None, share=None, begun=None):
    """Each object of the type below the root folder, as Found; or make(found) of each. begun: see begin.

    A property that the server is too old for is left out of the question and noted in `unknown` {path: reason}. A
    session that expires half-way is renewed, and what had not been read by then is asked for again. share(work, pages):
    as map, and need not do all of the work in this process.
    """
    seen = set()
    for attempt in (1, 2):
        try:
            view, reader = begun or _viewed(session, wanted, unknown, make)
            begun = None
            try:
                for moid, made in reader.here() if share is None else reader.shared(share):
                    if moid not in seen:
                        seen.add(moid)
                        yield made
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
        objects = [(ref.type or wanted.type, ref) for ref in references]
        for _moid, found in _Reader(session, wanted, objects, "", unknown).here():
            yield found


def of_object(session, wanted, reference_of, unknown):
    """The same of one object.

    :raises Unreadable: the server says nothing of it.
    """
    for found in of_objects(session, wanted, [reference_of], unknown):
        return found
    raise Unreadable("the server says nothing of %s" % wanted.type)


def _viewed(session, wanted, unknown, make=None):
    view = _create_view(session, wanted.type)
    return view, _Reader(session, wanted, [("ContainerView", view)], _SELECT, unknown, make)


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


class _Reader(object):
    """One retrieval. objects, select: where it begins; make: what becomes of each Found."""

    def __init__(self, session, wanted, objects, select, unknown, make=None):
        self._session = session
        self._wanted = wanted
        self._where = (objects, select)
        self._unknown = unknown
        self._make = make or (lambda found: found)
        self._paths = {path: reader for path, reader in wanted.paths.items() if path not in unknown}
        self._known = repeats.Pages()
        self._begun = None

    def begin(self):
        """Ask for the first page now."""
        self._begun = self._session.begin(*self._retrieval())

    def here(self):
        """(id, what is made of it) of each object."""
        for answer in self._answers(self._shorten):
            yield from self._made(answer)

    def shared(self, share):
        """The same; each page is parsed by whom `share` gives it to."""
        for made in share(self._read, self._pages()):
            yield from made

    def _pages(self):
        """Each page as it came; of it no more is read here than where the next one is."""
        kept = []

        def outline(page):
            kept[:] = [page]
            return repeats.outline(page)

        for _answer in self._answers(outline):
            yield kept.pop()

    def _read(self, page):
        return list(self._made(elements("RetrievePropertiesEx", 200, self._shorten(page))))

    def _shorten(self, page):
        passed_over = self._wanted.passed_over
        return self._known.shorten(repeats.without(page, *passed_over) if passed_over else page)

    def _made(self, answer):
        for child in answer[0]:
            if tag(child) == "objects":
                found = _found(child, self._paths, self._known.read)
                yield found.moid, self._make(found)

    def _answers(self, shorten):
        answer = self._first(shorten)
        while answer:
            token = next((child.text for child in answer[0] if tag(child) == "token"), None)
            yield answer
            if not token:
                return
            collector = self._session.content["propertyCollector"]
            answer = self._session.call(
                "PropertyCollector", collector, "ContinueRetrievePropertiesEx", element("token", token), shorten
            )

    def _first(self, shorten):
        """The first page of the properties that the server knows."""
        while True:
            begun, self._begun = self._begun, None
            try:
                return self._session.call(*self._retrieval(), shorten, begun=begun)
            except SoapFault as error:
                path = _unknown_path(error, self._paths)
                if path is None or len(self._unknown) > MAX_UNKNOWN:
                    raise
                self._unknown[path] = "the server's version does not know the property %s" % path
                del self._paths[path]

    def _retrieval(self):
        collector = self._session.content["propertyCollector"]
        return "PropertyCollector", collector, "RetrievePropertiesEx", _spec(self._wanted, self._paths, *self._where)


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
