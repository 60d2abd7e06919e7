"""Where the tokens of callers come from."""

from __future__ import annotations

import logging
import stat
import time
from pathlib import Path

from ...errors import ConfigError
from .tokens import Tokens, parse_tokens

logger = logging.getLogger("tiffin.auth")

LIMIT_BYTES = 4 * 1024 * 1024


def read_tokens(file: str, text: str, variable: str) -> Tokens:
    """From a file, or else from the text.

    Args:
        file: its path; empty: none.
        variable: where the text was, for errors.

    Raises:
        ConfigError: the file cannot be read, or a line of it makes no sense.
    """
    if not file:
        return parse_tokens(text, variable)
    try:
        with Path(file).open("rb") as opened:
            raw = opened.read(LIMIT_BYTES + 1)
        if len(raw) > LIMIT_BYTES:
            raise ConfigError(f"{file} has more than {LIMIT_BYTES} bytes: that is no file of tokens")
        return parse_tokens(raw.decode("utf-8-sig"), file)
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is no text in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"the file of tokens {file} cannot be read: {error.strerror}") from error


def check_tokens(file: str, text: str, variable: str) -> None:
    """Of a server that starts: what nobody could use is refused, what is careless is logged.

    Raises:
        ConfigError: as `read_tokens`; or there is no token at all.
    """
    if not file and not text:
        return
    tokens = read_tokens(file, text, variable)
    if not tokens:
        raise ConfigError(f"{file or variable} holds no token, nobody could call: bundle token makes one")
    if file and Path(file).stat().st_mode & stat.S_IROTH:
        logger.warning("%s can be read by every user of this machine: chmod 600 it", file)
    now = time.time()
    for grant in tokens.values():
        if grant.until <= now:
            logger.warning("a token of %s in %s has expired", grant.name, file or variable)
