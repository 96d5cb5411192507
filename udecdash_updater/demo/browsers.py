"""User agents and the device that each of them must count as (R6)."""

from __future__ import annotations

DESKTOP, MOBILE = "DESKTOP", "MOBILE"

_USUAL = (
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/89.0.4389.90 Safari/537.36", DESKTOP),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/14.0.3 Safari/605.1", DESKTOP),
    ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:86.0) Gecko/20100101 Firefox/86.0", DESKTOP),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 14_4 like Mac OS X) Version/14.0.3 Mobile/15E148 Safari/604.1", MOBILE),
    ("Mozilla/5.0 (Linux; Android 10; SM-A205G) AppleWebKit/537.36 Chrome/89.0 Mobile Safari/537.36", MOBILE),
    ("candroid/6.11.0 (Android)", MOBILE),
)
_PHONES = (
    "x Mobile x", "iPhone", "aiPodb", "(iPad; CPU OS 12_5)", "Linux; Android 9", "BlackBerry9700/5.0.0.862",
    "IEMobile/11", "Kindle/3.0", "NetFront/3.5", "Silk-Accelerated=true", "(hpwOS/3.0.5; U)", "webOS/1.4",
    "Fennec/10.0", "Minimo/0.016", "Opera/9.80 Opera Mobi/49", "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1)",
    "Blazer/4.0", "Dolfin/2.0", "Dolphin/INT", "Skyfire/2.0", "ZuneWP7",
)  # fmt: skip
_NO_PHONES = (
    "mobile safari in lower case", "IPHONE", "android", "Silk/3.13", "kindle", "Opera/9.80 (Windows NT 6.1)",
    "curl/7.68.0", "Opera\tMini", "Mobil e", "palmtop ñandú \\", "iCanvas/6.9.3", "WebOS", "-",
)  # fmt: skip

# (the text, or None for NULL; its device); the usual ones come often.
BROWSERS: tuple[tuple[str | None, str], ...] = (
    *_USUAL * 12,
    *((text, MOBILE) for text in _PHONES),
    *((text, DESKTOP) for text in _NO_PHONES),
    (None, DESKTOP),
    ("", DESKTOP),
)
