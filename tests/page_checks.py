"""What every page obeys."""

import re
from html.parser import HTMLParser


class _Page(HTMLParser):
    """Elements of a page, checked for closing tags."""

    VOID = {"meta", "link", "br", "img", "input", "hr"}

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.ids, self.links = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("href", "src", "xlink:href") if name in values]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()


def check_page(text: str) -> _Page:
    """The elements of a page, after checking that it is whole and needs nothing from outside."""
    page = _Page(text)
    assert page.open == []
    assert page.tags.count("h1") == 1
    assert {"main", "nav", "header", "footer"} <= set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:")) for link in page.links)
    targets = {link[1:] for link in page.links if link.startswith("#")}
    assert targets <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.ids)
    assert not re.search(r"@import|fetch\(|XMLHttpRequest|url\((?!#|data:)", text)
    return page
