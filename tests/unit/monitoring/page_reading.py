"""Reads a page as a browser would: its elements, its text, and whatever it would load."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = ("meta", "br", "hr")
LOADS = ("src", "href", "srcset", "action", "data", "poster", "background")


class Page(HTMLParser):
    """A page that was read; closed elements match, or reading it fails."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.styles: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        (self.styles if self.open and self.open[-1] == "style" else self.words).append(data)

    @property
    def text(self) -> str:
        """All that is to be read."""
        return " ".join(" ".join(self.words).split()).replace("\u202f", " ")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    def check_stands_alone(self) -> None:
        """Nothing is loaded, nothing runs, and every picture is told to those who do not see it."""
        for name, attributes in self.tags:
            assert name not in ("script", "link", "iframe", "object", "embed", "img", "base", "form"), name
            loads = [key for key in attributes if key in LOADS or key.startswith("on")]
            assert not loads, f"<{name}> has {loads}"
            assert "url(" not in (attributes.get("style") or "")
            if name == "svg" and attributes.get("aria-hidden") != "true":
                assert attributes.get("role") == "img"
                assert attributes.get("aria-label")
        assert not any("url(" in style or "@import" in style for style in self.styles)
        assert ("lang", "en") in dict(self.tags)["html"].items()
