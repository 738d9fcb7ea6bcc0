"""What ``marketdata ingest feeds`` does."""

from typing import Final

from marketdata.cli.connection import connected
from marketdata.cli.output import ERR, print_table
from marketdata.cli.rows import RowForm, RowWriter, piped

_FIELDS: Final = (
    "feed", "owner", "is_followed", "state", "problem", "complete_until", "changed",
)  # fmt: skip


async def list_feeds(address: str | None, form: RowForm | None) -> None:
    """Print how each live feed is."""
    async with connected(address) as client:
        found = await client.list_live_feeds()
    if form is not None:
        with piped():
            RowWriter(form, _FIELDS).write(
                [
                    feed.feed,
                    feed.owner,
                    feed.is_followed,
                    feed.state.value,
                    feed.problem,
                    feed.complete_until.isoformat() if feed.complete_until else None,
                    feed.changed.isoformat(),
                ]
                for feed in found
            )
        return
    if not found:
        ERR.print(
            "No live feed was ever followed. Set MARKETDATA_LIVE_FEED, and add a target of minutes "
            "that names its provider: marketdata targets add --help.",
            soft_wrap=True,
        )
        return
    rows = [
        [
            feed.feed,
            feed.state.value.replace("_", " ") if feed.is_followed else "nobody follows it",
            f"{feed.complete_until:%Y-%m-%d %H:%M}" if feed.complete_until else "",
            f"{feed.changed:%Y-%m-%d %H:%M:%S}",
            feed.owner,
            feed.problem,
        ]
        for feed in found
    ]
    headings = ["feed", "is", "complete until", "since", "process", "problem"]
    print_table(headings, rows, wide="problem", numbers_from=len(headings), spare=("since",))
