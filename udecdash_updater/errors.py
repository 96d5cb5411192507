"""Everything that can end or mar a night, as classes whose docstring is the sentence the operator reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from udecdash_updater.language import Both, Told, joined, text

_NAMED = 5  # with more tables than this nobody wants to type their names


class UpdaterError(Exception):
    """The run ended for a reason nobody foresaw."""

    exit_code: ClassVar[int] = 1
    spanish: ClassVar[str] = "La ejecución terminó por una razón no prevista."
    default_hint: ClassVar[str] = "Read the log above; if it does not explain itself, report it with these lines."
    default_hint_es: ClassVar[str] = (
        "Lea el registro; si no lo explica, comuníquelo al equipo de desarrollo con esas líneas."
    )

    def __init__(self, detail: Told = "", *, hint: Told = "") -> None:
        super().__init__(str(detail))
        self._detail = detail
        self._hint = hint

    @property
    def advice(self) -> Both:
        """What to do about it, in both languages."""
        return Both(self.hint("en"), self.hint("es"))

    @property
    def detail(self) -> str:
        """What went wrong this time, in English."""
        return str(self._detail)

    @property
    def short(self) -> Told:
        """What went wrong this time, in both languages where it is there in both; without the class's sentence."""
        return self._detail

    def told(self, language: str = "en") -> str:
        """What went wrong this time, in `language`; without the class's sentence."""
        return text(self._detail, language)

    def full(self, language: str = "en") -> str:
        """The class's sentence and what went wrong this time, in `language`."""
        told = self.told(language)
        return self.sentence(language) + (told if told.startswith("\n") else f" {told}".rstrip())

    def text(self, language: str) -> str:
        """As `full`: an error is told where words are told."""
        return self.full(language)

    def __str__(self) -> str:
        return self.full("en")

    def sentence(self, language: str = "en") -> str:
        """The class's sentence in `language` ('en' or 'es'), without the detail."""
        return self.sentence_of(language)

    @classmethod
    def sentence_of(cls, language: str = "en") -> str:
        """The same, of a class."""
        return cls.spanish if language == "es" else (cls.__doc__ or "").strip().splitlines()[0]

    def hint(self, language: str = "en") -> str:
        """What to do about it: the hint given where it was raised, else the class's, in `language`."""
        return text(self._hint, language) or (self.default_hint_es if language == "es" else self.default_hint)


class SettingsError(UpdaterError):
    """The settings cannot be used."""

    exit_code = 2
    spanish = "La configuración no se puede usar."
    default_hint = "Correct each setting named, in the main script, the environment or .env; nothing was touched."
    default_hint_es = "Corrija cada variable nombrada en el script principal, el entorno o .env; nada fue tocado."

    def __init__(self, problems: Sequence[Told], *, hint: Told = "") -> None:
        super().__init__(joined(problems, before="\n  - "), hint=hint)
        self.problems = tuple(map(str, problems))


class DownloadError(UpdaterError):
    """The dump could not be downloaded."""

    exit_code = 3
    spanish = "No se pudo descargar el volcado de Canvas Data."
    default_hint = "Run the command by hand in PATH_CANVAS_CONFIG; yesterday's data is still served."
    default_hint_es = "Ejecute el comando a mano en PATH_CANVAS_CONFIG; los datos de ayer siguen disponibles."


class DapError(DownloadError):
    """Canvas Data 2 could not be downloaded as a whole."""

    spanish = "No se pudo descargar Canvas Data 2 por completo."
    default_hint = "See to what the service says of each table, and run again; yesterday's data is still served."
    default_hint_es = (
        "Revise lo que el servicio dice de cada tabla y ejecute de nuevo; los datos de ayer siguen disponibles."
    )


class DumpError(UpdaterError):
    """The dump cannot be trusted, so nothing of it was published."""

    exit_code = 4
    spanish = "El volcado no es confiable, por lo que nada de él se publicó."
    default_hint = "Look at the file or table named; yesterday's data is still served."
    default_hint_es = "Revise el archivo o la tabla que se nombra; los datos de ayer siguen disponibles."


class ImplausibleError(DumpError):
    """The dump is whole, but it can hardly be what Canvas has, so nothing of it was published."""

    spanish = "El volcado está completo, pero difícilmente es lo que Canvas tiene, por lo que nada de él se publicó."
    default_hint = "If Canvas really looks like this now, run once:"
    default_hint_es = "Si Canvas realmente se ve así ahora, ejecute una vez:"

    def __init__(self, shown: Told, tables: list[str]) -> None:
        super().__init__(shown)
        self.tables = tuple(tables)

    def hint(self, language: str = "en") -> str:
        """What to type, once somebody has looked at the tables named."""
        named = self.tables if len(self.tables) <= _NAMED else ("all",)
        return f"{super().hint(language)} udecdash-updater run {' '.join(f'--accept {name}' for name in named)}"


class DatabaseError(UpdaterError):
    """PostgreSQL could not do what was asked."""

    exit_code = 5
    spanish = "PostgreSQL no pudo hacer lo que se le pidió."
    default_hint = (
        "Check that the server of DB_HOST and DB_PORT runs and has connections left for LOAD_CONNECTIONS, "
        "and that DB_USERNAME may use DB_NAME with DB_PASSWORD."
    )
    default_hint_es = (
        "Revise que el servidor de DB_HOST y DB_PORT funcione y tenga conexiones libres para LOAD_CONNECTIONS, "
        "y que DB_USERNAME pueda usar DB_NAME con DB_PASSWORD."
    )


class UnknownRunError(UpdaterError):
    """There is no such run."""

    exit_code = 2
    spanish = "No hay tal ejecución."
    default_hint = "udecdash-updater status shows the last nights."
    default_hint_es = "udecdash-updater status muestra las últimas noches."


class TableError(DatabaseError):
    """A table of the dashboard refuses what is to be written."""

    spanish = "Una tabla del dashboard rechaza lo que hay que escribir."
    default_hint = "See to the table and to the constraint, trigger or rule named; yesterday's data is still served."
    default_hint_es = (
        "Revise la tabla y la restricción, el trigger o la regla que se nombra; los datos de ayer siguen disponibles."
    )


class QueueError(UpdaterError):
    """The data is loaded, but its interactions could not all be queued or processed."""

    exit_code = 6
    spanish = "Los datos están cargados, pero no todas sus interacciones pudieron encolarse o procesarse."
    default_hint = (
        "Check REDIS_URL and its password, start Redis and the workers; the next run enqueues whatever is missing."
    )
    default_hint_es = (
        "Revise REDIS_URL y su contraseña, inicie Redis y los workers; la próxima ejecución encola lo que falte."
    )


class EmbeddedRedisError(QueueError):
    """The private Redis could not be started, so nothing was loaded."""

    spanish = "El Redis privado no pudo iniciarse, por lo que nada se cargó."
    default_hint = "Install what is named, or set REDIS_URL to a server that is there."
    default_hint_es = "Instale lo que se nombra, o ponga en REDIS_URL un servidor existente."


class WorkersError(QueueError):
    """The workers could not be stopped or started."""

    spanish = "Los workers no pudieron detenerse o iniciarse."
    default_hint = "Run the supervisorctl command named by hand; see SERVER_SUPERVISORD_COMMAND_PATH."
    default_hint_es = "Ejecute a mano el comando supervisorctl nombrado; vea SERVER_SUPERVISORD_COMMAND_PATH."


class FrontEndError(UpdaterError):
    """The page of the front end could not be changed."""

    exit_code = 7
    spanish = "La página del front end no se pudo cambiar."
    default_hint = "Check that FRONTEND_DIR exists, holds index.html and may be written by this user."
    default_hint_es = "Revise que FRONTEND_DIR exista, contenga index.html y que este usuario pueda escribir."


class NoticeError(UpdaterError):
    """The administrators could not be told."""

    exit_code = 10
    spanish = "No se pudo avisar a los administradores."
    default_hint = "Check SMTP_HOST, SMTP_PORT, SMTP_USER, SMTP_PASS and NOTIFICATION_EMAILS."
    default_hint_es = "Revise SMTP_HOST, SMTP_PORT, SMTP_USER, SMTP_PASS y NOTIFICATION_EMAILS."


class ReportError(UpdaterError):
    """The report could not be written."""

    exit_code = 10
    spanish = "No se pudo escribir el informe."
    default_hint = "Check that REPORT_DIR and the folder of METRICS_FILE exist and may be written by this user."
    default_hint_es = "Revise que REPORT_DIR y la carpeta de METRICS_FILE existan y que este usuario pueda escribir."


class RunActiveError(UpdaterError):
    """Another run is active."""

    exit_code = 75
    spanish = "Hay otra ejecución activa."
    default_hint = "Wait for it to end; a run that was killed holds nothing."
    default_hint_es = "Espere a que termine; una ejecución que murió no retiene nada."


EXIT_DONE = 0
EXIT_WARNINGS = 10
