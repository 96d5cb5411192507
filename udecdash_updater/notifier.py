"""The night's one e-mail: what failed, what to do, the last lines of the log; masked, and bounded in time."""

from __future__ import annotations

import base64
import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid

from udecdash_updater import pages
from udecdash_updater.bounded import within
from udecdash_updater.errors import NoticeError
from udecdash_updater.language import Both, Told, because, say, text
from udecdash_updater.logs import SecretMask
from udecdash_updater.notice import Notice, in_words, one_line
from udecdash_updater.settings import Settings

TIMEOUT = 15.0  # seconds for each answer of the mail server
LIMIT = 30.0  # seconds for the whole delivery, looking its name up included
_LOCAL = ("localhost", "127.0.0.1", "::1")
_SMTPS_PORT = 465
# What every mail server takes; nothing in it can end a header or a command.
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")

Refused = dict[str, str]  # address: why


def configured(settings: Settings) -> bool:
    """Whether there is a mail server and somebody to tell."""
    return bool(settings.smtp_host and settings.notification_emails)


def answers(settings: Settings) -> Told:
    """Why the mail server does not take us, masked; empty when it does, login included, or none is configured.

    Takes LIMIT seconds at most.
    """
    if not configured(settings):
        return ""
    try:
        _within_limit(settings, lambda: _greet(settings), _hider(settings, SecretMask()))
    except NoticeError as error:
        return error.short
    return ""


def _greet(settings: Settings) -> Refused:
    with contextlib.closing(_connect(settings, _domain(socket.getfqdn()))) as client:
        _log_in(client, settings)
        with contextlib.suppress(OSError):
            client.quit()
    return {}


def send(settings: Settings, notice: Notice, mask: SecretMask) -> None:
    """Send the notice, one message, to every address of NOTIFICATION_EMAILS; nothing where none is configured.

    Raises NoticeError with the server's masked answer, naming every address that was not reached, after the
    others have been. Takes LIMIT seconds at most.
    """
    if not configured(settings):
        return
    hide = _hider(settings, mask)
    message = compose(settings, notice, hide)
    refused = {
        address: "not an address that mail servers take"
        for address in settings.notification_emails
        if not _ADDRESS.fullmatch(address)
    }
    recipients = [address for address in settings.notification_emails if address not in refused]
    if recipients:
        message["To"] = ", ".join(recipients)
        refused |= _delivered(settings, message, recipients, hide)
    if refused:
        told = "; ".join(f"{address} ({reason})" for address, reason in refused.items())
        raise NoticeError(say("mail not taken", **_server(settings), who=one_line(hide(told))))


def compose(settings: Settings, notice: Notice, hide: Callable[[str], str]) -> EmailMessage:
    """The message in the settings' language, as text and as HTML, without From and To; `hide` masks secrets."""
    wording = in_words(notice, settings, hide)
    message = EmailMessage(policy=policy.SMTP)
    # An encoded word in the text would be decoded, line breaks included.
    message["Subject"] = wording.subject.replace("=?", "= ?")[:200]
    message["Date"] = format_datetime(localtime())
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes in return
    text = pages.render(f"notice.{settings.language}.txt", notice=wording, zone=settings.time_zone)
    message.set_content(text, cte="quoted-printable")
    page = pages.render("notice.html", notice=wording, zone=settings.time_zone)
    message.add_alternative(page, subtype="html", cte="quoted-printable")
    return message


def _hider(settings: Settings, mask: SecretMask) -> Callable[[str], str]:
    """`mask`, and the forms in which SMTP carries the password: a server may repeat the command it refuses."""
    user, password = settings.smtp_user, settings.smtp_pass.get_secret_value()
    forms = [password, f"\0{user}\0{password}"] if password else []
    encoded = [base64.b64encode(form.encode()).decode() for form in forms]
    more = SecretMask([*settings.secrets(), *encoded])
    return lambda text: more.mask(mask.mask(text))


def _delivered(settings: Settings, message: EmailMessage, recipients: list[str], hide: Callable[[str], str]) -> Refused:
    try:
        return _within_limit(settings, lambda: _deliver(settings, message, recipients), hide)
    except NoticeError as error:
        raise NoticeError(say("mail not told", why=error.short, who=", ".join(recipients))) from None


def _within_limit(settings: Settings, talk: Callable[[], Refused], hide: Callable[[str], str]) -> Refused:
    try:
        return within(LIMIT, talk)
    except (OSError, ValueError) as error:  # smtplib's and ssl's errors are OSErrors
        raise NoticeError(say("mail server", **_server(settings), why=_shown(_reason(error), hide))) from None


def _deliver(settings: Settings, message: EmailMessage, recipients: list[str]) -> Refused:
    name = socket.getfqdn()
    sender = settings.smtp_user if _ADDRESS.fullmatch(settings.smtp_user) else f"udecdash-updater@{_domain(name)}"
    message["From"] = f"UDECDash Data Updater <{sender}>"
    message["Message-ID"] = make_msgid(domain=_domain(name))
    with contextlib.closing(_connect(settings, _domain(name))) as client:
        _log_in(client, settings)
        try:
            refused = client.send_message(message, sender, recipients)
        except smtplib.SMTPRecipientsRefused as error:  # all of them; some perhaps never asked for
            refused = {address: error.recipients.get(address, (0, b"not asked")) for address in recipients}
        with contextlib.suppress(OSError):  # the mail is taken already
            client.quit()
    return {address: _answer(*reply) for address, reply in refused.items()}


def _connect(settings: Settings, name: str) -> smtplib.SMTP:
    """A greeted connection, encrypted as SMTP_TLS says; the certificate of a host that is not local is verified."""
    address = (settings.smtp_host, settings.smtp_port)
    context = ssl.create_default_context()
    if _is_local(settings):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    wanted = settings.smtp_tls
    if wanted == "ssl" or (wanted == "auto" and settings.smtp_port == _SMTPS_PORT):
        return smtplib.SMTP_SSL(*address, local_hostname=name, timeout=TIMEOUT, context=context)
    with contextlib.ExitStack() as stack:
        client = smtplib.SMTP(*address, local_hostname=name, timeout=TIMEOUT)
        stack.callback(client.close)
        client.ehlo_or_helo_if_needed()
        offered = client.has_extn("starttls")
        if wanted == "starttls" and not offered:
            raise NoticeError(say("mail no starttls", **_server(settings)))
        if wanted != "none" and offered:
            client.starttls(context=context)
        stack.pop_all()
    return client


def _log_in(client: smtplib.SMTP, settings: Settings) -> None:
    password = settings.smtp_pass.get_secret_value()
    if not (settings.smtp_user and password):
        return
    if not isinstance(client.sock, ssl.SSLSocket) and not _is_local(settings):
        raise NoticeError(say("mail unencrypted", **_server(settings)))
    client.login(settings.smtp_user, password)


def _is_local(settings: Settings) -> bool:
    return settings.smtp_host.lower() in _LOCAL


def _server(settings: Settings) -> dict[str, object]:
    return {"host": one_line(settings.smtp_host), "port": settings.smtp_port}


def _domain(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name) else "localhost"


def _shown(told: Told, hide: Callable[[str], str]) -> Both:
    return Both(*(one_line(hide(text(told, language))) for language in ("en", "es")))


def _reason(error: Exception) -> Told:
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return say("web certificate", why=error.verify_message)
    if isinstance(error, UnicodeError):  # its text would quote the password
        return say("mail beyond ascii")
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError | smtplib.SMTPException):
        return because(error)
    return str(error) or type(error).__name__


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return one_line(f"{code} {words}" if code > 0 else words)[:500]
