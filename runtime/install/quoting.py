"""Words and paths as systemd's unit files want them (systemd.syntax(7), "Quoting" in systemd.service(5))."""


def quoted_command(words: list[str]) -> str:
    """A command line for `ExecStart=` that runs exactly these words, whatever they hold.

    Args:
        words: the program's path and its arguments; text without lone surrogates.
    """
    # `:` turns the replacing of $NAME off, for the program's own path as well, where `$$` would stay `$$`. Where
    # nothing is replaced anyway it is left out: systemd before 244 does not know it.
    prefix = ":" if any("$" in word for word in words) else ""
    return prefix + " ".join(_quoted(word) for word in words)


def quoted_path(path: str) -> str:
    """A path for lists such as `ReadOnlyPaths=` and `BindPaths=`, behind its `-`; printable text only.

    There a backslash makes the next letter literal and there are no escapes as in C.
    """
    return _quoted(f"-{path}")


def _quoted(word: str) -> str:
    """In double quotes, where blanks, `#`, `;`, `:` and `'` mean nothing; `%` begins a specifier even there."""
    escaped = "".join(_LITERALS.get(letter) or _as_in_c(letter) for letter in word)
    return f'"{escaped}"' if escaped != word or not _plain(word) else word


_LITERALS = {"\\": "\\\\", '"': '\\"', "%": "%%"}


def _as_in_c(letter: str) -> str:
    if letter.isprintable():
        return letter
    return "".join(f"\\x{byte:02x}" for byte in letter.encode())


def _plain(word: str) -> bool:
    """Whether a person would write it without quotes."""
    return bool(word) and all(letter.isalnum() or letter in "/._-+=,@" for letter in word)
