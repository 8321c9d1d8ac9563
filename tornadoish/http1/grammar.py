"""The grammar of HTTP/1.1 messages (RFC 9112), as compiled patterns under their clauses.

What all versions of HTTP share (RFC 9110) is in ``httputil.abnf``. No pattern can backtrack, none
matches more than ASCII where the RFC does not.
"""

from __future__ import annotations

import re

from tornadoish.httputil.abnf import FIELD_CHAR, TCHAR
from tornadoish.httputil.startline import REQUEST_LINE, STATUS_LINE

# RFC 9112, 3 and 4, with the line end (2.2: CRLF; a bare LF is refused).
REQUEST_LINE_END = re.compile(REQUEST_LINE.pattern + r"\r\n")
STATUS_LINE_END = re.compile(STATUS_LINE.pattern + r"\r\n")

# RFC 9112, 5: field-line = field-name ":" OWS field-value OWS. One pass over the whole block
# splits and validates: every line has to match, so the caller compares the number of matches with
# the number of lines. A name is followed by its colon at once (5.1); a line that begins with white
# space (obs-fold, 5.2) matches nothing. OWS behind the value is left to the caller.
FIELD_LINE = re.compile(rf"^([{TCHAR}]++):[ \t]*+([{FIELD_CHAR}]*+)\r\n", re.MULTILINE)
# The same for responses, where white space may also stand before the colon and is dropped (5.1).
LAX_FIELD_LINE = re.compile(rf"^([{TCHAR}]++)[ \t]*+:[ \t]*+([{FIELD_CHAR}]*+)\r\n", re.MULTILINE)
# RFC 9112, 5.2: obs-fold, which a user agent replaces by a space.
OBS_FOLD = re.compile(r"\r\n[ \t]++")

# What no head may contain anywhere (RFC 9112, 2.2; RFC 9110, 5.5): controls, a CR that is not
# before LF, an LF that is not behind CR. A CR at the very end may yet get its LF.
NOT_IN_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")

# RFC 9112, 7.1: chunk-size [ chunk-ext ], where chunk-ext begins with BWS ";". 15 hexadecimal
# digits are more than any body. What is in an extension is ignored, but not what it is made of.
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15}+)(?:[ \t]*+;[\t\x20-\x7e\x80-\xff]*+)?+")

# The beginning of such a line, as far as its size: what has another is not waited for.
CHUNK_LINE_BEGUN = re.compile(rb"[0-9A-Fa-f]{1,15}+(?:[ \t]*+(?:;|\Z)|\r)")
