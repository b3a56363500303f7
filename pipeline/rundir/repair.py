"""Damaged files of a run that its own tasks can make again."""

from collections.abc import Sequence

from decant.pipeline.engine.damage import DamagedFile
from decant.pipeline.engine.events import Progress
from decant.pipeline.engine.execute import DamagedInput
from decant.pipeline.engine.storage import StorageError, Store


class Repair:
    """Removes damaged files below `folders`, so that the tasks that wrote them run again.

    A task whose file is gone is not done, and the same input and configuration give the same
    bytes: what comes after it goes on as if nothing had been. A file that is damaged once more in
    the same command is left where it is: then the disk, or the memory, is at fault.
    """

    def __init__(self, store: Store, progress: Progress, folders: Sequence[str]):
        self._store, self._progress = store, progress
        self._folders = tuple(f"{folder}/" for folder in folders)
        self._removed: set[str] = set()

    def remove(self, error: DamagedFile | DamagedInput) -> None:
        """Remove the files that `error` names, or raise what cannot be mended so."""
        files = error.files if isinstance(error, DamagedInput) else (error,)
        for path in sorted({self._repairable(one) for one in files}):
            self._removed.add(path)
            self._store.remove(path)

    def _repairable(self, damage: DamagedFile) -> str:
        """The path of a damaged file that can be made again; else its error is raised."""
        if damage.url != self._store.url or not damage.path.startswith(self._folders):
            raise damage
        if damage.path in self._removed:
            raise StorageError(
                f"{damage.url}/{damage.path} was made again and is damaged again: {damage.what}; "
                "check the disk and the memory of the machine"
            ) from damage
        self._progress.say(
            f"decant: {damage.path} is damaged ({damage.what}); it is made again, which takes the "
            "time of its tasks and of those after them that had not finished"
        )
        return damage.path
