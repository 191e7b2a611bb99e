"""How a connection gets into a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

if TYPE_CHECKING:
    from sqlalchemy import URL

_PORTS = {"postgresql": 5432, "mariadb": 3306}
_DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql", "sqlite": "sqlite"}


class Sql(BaseModel):
    """A database server, or a file of SQLite."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    system: Literal["postgresql", "mariadb", "sqlite"] = Field("postgresql", description="What kind of database it is.")
    database: str = Field(
        min_length=1, max_length=1000, pattern=r"^[^\x00]+$", examples=["/var/lib/shop.db"],
        description="Name of the database; of SQLite the absolute path of its file.",
    )  # fmt: skip
    host: str = Field("127.0.0.1", max_length=253, description="Host name or address.")
    port: int | None = Field(None, ge=1, le=65535, description="Port; empty: the usual one.")
    user: str = Field("", max_length=63, description="User name.")
    password: SecretStr | None = Field(None, description="Password; empty: none is sent.")
    timeout: float = Field(30.0, ge=1, le=3600, description="Seconds to connect, and a statement may take.")

    @model_validator(mode="after")
    def _a_file_has_a_path(self) -> Self:
        if self.system == "sqlite" and not self.database.startswith("/"):
            raise ValueError("the database of SQLite is the absolute path of its file")
        return self

    def url(self) -> URL:
        """The address for SQLAlchemy; its text hides the password."""
        from sqlalchemy import URL  # noqa: PLC0415 - loaded with the first use

        if self.system == "sqlite":
            return URL.create("sqlite", database=self.database)
        secret = None if self.password is None else self.password.get_secret_value()
        port = self.port or _PORTS[self.system]
        return URL.create(_DRIVERS[self.system], self.user or None, secret, self.host, port, self.database)
