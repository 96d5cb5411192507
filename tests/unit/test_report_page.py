"""The report's pages, read as a browser reads them: whole, safe, legible, and the same in both languages."""

from __future__ import annotations

import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.figures import HOSTILE, NOBODY, figures_of, write
from udecdash_updater import pages
from udecdash_updater.errors import ReportError, SettingsError
from udecdash_updater.report_page import write_pages
from udecdash_updater.settings import Settings

_VOID = {"meta", "link", "img", "br"}
_CSS = (Path(pages.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")


class Page(HTMLParser):
    """The elements of a page: (name, attributes, names of those around it), and the text in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self._open)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words.append(data)

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes, _ in self.elements if tag == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def every_page(folder: Path) -> dict[str, Page]:
    write(folder, figures_of(59, next_run=60))
    write(folder, figures_of(60, 4))
    return {path.name: Page(path) for path in folder.iterdir()}


def test_each_run_and_the_index_have_a_page_in_each_language(tmp_path: Path) -> None:
    found = every_page(tmp_path)
    assert sorted(found) == sorted(
        f"{stem}{language}.html" for stem in ("index", "run-000059", "run-000060") for language in ("", ".en")
    )
    for name, page in found.items():
        assert page.of("html") == [{"lang": "en" if ".en." in name else "es"}]
        assert len(page.of("h1")) == 1
        assert len(page.of("title")) >= 1


def test_pages_are_for_owner_and_group_alone_and_replaced_whole(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not ours")
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "index.html").symlink_to(elsewhere)
    write(folder, figures_of())
    for path in folder.iterdir():
        assert stat.S_IMODE(path.lstat().st_mode) == 0o640
        assert not path.name.startswith(".")
    assert elsewhere.read_text() == "not ours"


def test_nothing_is_fetched_and_nothing_runs_when_a_page_is_opened(tmp_path: Path) -> None:
    for name, page in every_page(tmp_path).items():
        assert page.of("script") + page.of("img") + page.of("iframe") == [], name
        for _, attributes, _ in page.elements:
            assert not [key for key in attributes if key.startswith("on")]
            assert not (attributes.get("src") or "")
        assert {link["href"] for link in page.of("link")} == {"data:,"}
        policies = [meta.get("content") or "" for meta in page.of("meta") if "http-equiv" in meta]
        assert ["default-src 'none'" in policy for policy in policies] == [True]
        assert "url(" not in (tmp_path / name).read_text(encoding="utf-8")


def test_every_link_leads_to_a_page_that_is_there(tmp_path: Path) -> None:
    found = every_page(tmp_path)
    for name, page in found.items():
        links = {link["href"] for link in page.of("a")}
        dead = {link for link in links if link not in found}
        assert dead <= {name.replace("60", "58").replace("59", "58")}, name
    assert {"run-000060.html", "index.html", "run-000059.en.html"} <= {
        a["href"] for a in found["run-000059.html"].of("a")
    }


def test_the_page_of_the_night_before_is_led_to_the_next_one_once(tmp_path: Path) -> None:
    write(tmp_path, figures_of(59))
    assert 'rel="next"' not in (tmp_path / "run-000059.html").read_text(encoding="utf-8")
    for _ in range(2):
        write(tmp_path, figures_of(60))
    [link] = [a for a in Page(tmp_path / "run-000059.en.html").of("a") if a.get("rel") == "next"]
    assert link["href"] == "run-000060.en.html"


def test_every_chart_has_a_title_a_description_and_a_table_behind_it(tmp_path: Path) -> None:
    for name, page in every_page(tmp_path).items():
        charts = [svg for svg in page.of("svg") if svg.get("role") == "img"]
        others = [svg for svg in page.of("svg") if svg.get("role") != "img"]
        assert len(charts) == (2 if name.startswith("index") else 6)
        identities = {attributes.get("id") for _, attributes, _ in page.elements}
        for chart in charts:
            assert set((chart["aria-labelledby"] or "").split()) <= identities
        assert all(svg.get("aria-hidden") == "true" for svg in others)
        assert len(page.of("table")) >= len(charts)
        assert len([1 for tag, _, around in page.elements if tag == "table" and "details" in around]) >= len(charts)
        assert all(cell.get("scope") in ("row", "col") for cell in page.of("th"))


def test_hostile_names_are_text(tmp_path: Path) -> None:
    page = Page(write(tmp_path, figures_of(60, 4)))
    assert HOSTILE.encode(errors="replace").decode() in "".join(page.words)
    assert "49" not in re.findall(r"alert\(1\).{0,60}", page.text)[0]


@pytest.mark.parametrize(
    ("code", "spanish", "english"),
    [
        (0, "La noche terminó bien", "The night went well"),
        (10, "La noche terminó con advertencias", "The night ended with warnings"),
        (4, "La noche falló en la etapa «verificar»", "The night failed in stage “verify”"),
        (1, "La noche fue interrumpida desde fuera", "The night was ended from outside"),
        (None, "La noche está en curso", "The night is under way"),
    ],
)
def test_the_verdict_is_the_first_thing_that_is_said(
    tmp_path: Path, code: int | None, spanish: str, english: str
) -> None:
    write(tmp_path, figures_of(60, code))
    for name, verdict in (("run-000060.html", spanish), ("run-000060.en.html", english)):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert re.findall(r"<h1>(.*?)</h1>", text) == [verdict]


def test_a_failed_night_says_what_to_do_and_what_was_the_matter(tmp_path: Path) -> None:
    text = Page(write(tmp_path, figures_of(60, 4))).text
    for told in ("El volcado no es confiable", "Qué hacer: Mire el archivo.", "(código de salida 4)", "1.204"):
        assert told in text


def test_what_is_not_known_is_said_and_a_first_night_has_a_page_too(tmp_path: Path) -> None:
    text = Page(write(tmp_path, figures_of(1), NOBODY, "en")).text
    for told in ("It could not be asked which courses are due", "It could not be asked which jobs wait"):
        assert told in text


def test_both_languages_have_the_same_words() -> None:
    spanish, english = (vars(pages.words(f"report_words.{language}.j2")) for language in ("es", "en"))
    assert spanish.keys() == english.keys()
    for name, words in spanish.items():
        if isinstance(words, dict) and name != "stage_names":
            assert words.keys() == english[name].keys(), name


def test_a_folder_that_cannot_be_written_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"file/pages|Not a directory"):
        write(tmp_path / "file" / "pages", figures_of())


def test_without_a_folder_the_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="REPORT_DIR"):
        write_pages(Settings(), figures_of(), NOBODY)


def palettes() -> list[dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", _CSS, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in blocks]


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_letters_stand_out_by_4_5_and_bars_by_3(scheme: int) -> None:
    colours = palettes()[scheme]
    for name in ("text", "soft", "accent"):
        for ground in ("ground", "card"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for outcome in ("done", "warnings", "failed"):
        for ground in (colours[f"{outcome}-tint"], colours["card"]):
            assert contrast(colours[outcome], ground) >= 4.5, outcome
        assert contrast(colours["text"], colours[f"{outcome}-tint"]) >= 4.5
    for bar in ("bar", "bar-2", "bar-3", "bar-failed"):
        assert contrast(colours[bar], colours["card"]) >= 3, bar
