"""The line about damaged rows that `status`, `results` and `retry` print."""

import click


def tell_damaged_rows(number: int) -> None:
    """Print on stderr that rows of the ledger are damaged; nothing where none is."""
    if number:
        rows = f"{number} row{'s' * (number != 1)} of the ledger {'is' if number == 1 else 'are'} damaged"
        click.echo(f"inflamap: {rows}; the next start of the watch repairs the ledger", err=True)
