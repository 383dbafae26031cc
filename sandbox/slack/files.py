"""Uploads: an address is given out, bytes come, the upload is completed and may be shown in a message."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.slack.state import Plain, Refusal


@dataclass(slots=True)
class File:
    """`content` None: its bytes have not come yet."""

    id: str
    name: str
    length: int
    content: bytes | None = None
    completed: bool = False


class Files:
    def __init__(self) -> None:
        self._files: dict[str, File] = {}

    def expect(self, name: str, length: int) -> File:
        file = File(f"F0{len(self._files) + 1:04d}", name, length)
        self._files[file.id] = file
        return file

    def get(self, file_id: str) -> File | None:
        return self._files.get(file_id)

    def take(self, file_id: str, content: bytes) -> bool:
        """The bytes of an expected file; False if nobody expects it, or it is not as long as was said."""
        file = self._files.get(file_id)
        if file is None or file.content is not None or len(content) != file.length:
            return False
        file.content = content
        return True

    def complete(self, file_id: str, title: str) -> Plain:
        file = self._files.get(file_id)
        if file is None or file.content is None or file.completed:
            raise Refusal("file_not_found")
        file.completed = True
        return {"id": file.id, "name": file.name, "title": title or file.name, "url_private": f"/files/{file.id}"}
