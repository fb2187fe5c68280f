"""What was found, as an HTML page with the examples drawn."""

from data_prep.check.check import Checked
from data_prep.check.examples import drawn
from data_prep.check.findings import image_sum, object_sum, rows
from data_prep.check.text import describe_statistics
from data_prep.pages.html import page_environment
from data_prep.storage.storage import write


def write_page(checked: Checked, uri: str) -> None:
    """Write the page; all text from data is escaped."""
    write(uri, render(checked).encode())


def render(checked: Checked) -> str:
    """Render the page as HTML."""
    counts = checked.counts
    found = rows(counts)
    sources = [
        (
            source,
            [
                ("images", image_sum(counts, source, checked.statistics.get(source))),
                ("objects", object_sum(counts, source)),
            ],
            [(row, drawn(checked, row)) for row in found if row.source == source],
            describe_statistics(checked.statistics[source]) if source in checked.statistics else [],
        )
        for source in counts.images
    ]
    template = page_environment("data_prep.check").get_template("check.html.j2")
    return template.render(sources=sources, refused=checked.refused, files=checked.files)
