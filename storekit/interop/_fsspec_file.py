"""The files of a file system around another one."""

from __future__ import annotations

from fsspec.spec import AbstractBufferedFile

__all__ = ["WrapperFile"]


class WrapperFile(AbstractBufferedFile):  # type: ignore[misc]
    """A file, read by blocks, each by a request; written by one, when it is closed."""

    def _upload_chunk(self, final: bool = False) -> bool:
        if final:
            self._value = self.buffer.getvalue()
            if self.autocommit:
                self.commit()
        return final  # else keep what there is

    def commit(self) -> None:
        """Let the file be seen, in which a transaction may be later than closing it."""
        self.fs._write(self.path, self.mode, self._value, **self.kwargs)
