from __future__ import annotations

import fcntl
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher, extract_parameters
from structlog.testing import capture_logs

from pushgw import users_file
from pushgw.users_file import UsersFile, UsersFileError, add, names, remove

if TYPE_CHECKING:
    from pathlib import Path

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ANNA = f"anna:{CHEAP.hash('secret')}"
BERT = f"bert:{CHEAP.hash('hidden')}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"# who may log in\n{ANNA}\n\n{BERT}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("name", "password", "expected"),
    [
        ("anna", "secret", True),
        ("bert", "hidden", True),
        ("anna", "hidden", False),
        ("anna", "", False),
        ("carl", "secret", False),
        ("", "secret", False),
    ],
)
def test_a_password_is_checked(file: Path, name: str, password: str, expected: object) -> None:
    """Only the user's own password is right."""
    assert expected is UsersFile(file).check(name, password)


def test_a_name_nobody_has_costs_a_verification(file: Path) -> None:
    """An unknown name is checked against a user's hash, even with that user's password."""
    assert not UsersFile(file).check("carl", "secret")


def test_without_users_the_decoy_costs_what_our_hashes_cost(file: Path) -> None:
    """The hash that an empty file is checked against has the parameters of those we write."""
    add(file, "carl", "secret")
    written = file.read_text(encoding="utf-8").splitlines()[-1].partition(":")[2]

    assert extract_parameters(written) == extract_parameters(users_file._DECOY)


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    """A file without users is valid, and every password is wrong."""
    (tmp_path / "users").touch()

    assert not UsersFile(tmp_path / "users").check("anna", "secret")


def test_a_broken_hash_is_never_right(tmp_path: Path) -> None:
    """A hash whose frame is right but whose content is not refuses everybody."""
    (tmp_path / "users").write_text("anna:$argon2id$v=19$m=8,t=1,p=1$!$!\n", encoding="utf-8")

    assert not UsersFile(tmp_path / "users").check("anna", "secret")


def test_names_are_login_names(tmp_path: Path) -> None:
    """A name of the file is read in the form of login names, and lists are sorted."""
    (tmp_path / "users").write_text(f"b{ANNA}\r\nDOMAIN\\Bert{BERT[4:]}\r\n", encoding="utf-8")

    assert ["banna", "bert"] == names(tmp_path / "users")
    assert UsersFile(tmp_path / "users").check("bert", "hidden")


def test_all_mistakes_are_told_with_their_lines(tmp_path: Path) -> None:
    """Every wrong line is told, without the hashes."""
    path = tmp_path / "users"
    path.write_text(f"{ANNA}\nhunter2\n:x\n#\nanna:x\nBert:hunter2\n", encoding="utf-8")

    with pytest.raises(UsersFileError) as caught:
        UsersFile(path)

    allowed = "1 to 320 characters without colon, braces and control characters, no # in front"
    assert (
        "line 2: found no colon, allowed NAME:HASH",
        f"line 3: found the name '', allowed {allowed}",
        "line 5: found 'anna' again, allowed once (line 1)",
        "line 6: found no Argon2 hash, allowed $argon2id$v=19$m=...$SALT$HASH",
    ) == caught.value.mistakes
    assert str(caught.value).startswith(f"{path}: line 2: found no colon")


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused with the line."""
    (tmp_path / "users").write_bytes(ANNA.encode() + b"\nb\xffrt:x\n")

    with pytest.raises(UsersFileError, match="line 2: found byte 0xff, allowed UTF-8"):
        names(tmp_path / "users")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A file that cannot be read is refused with the reason."""
    with pytest.raises(UsersFileError, match=r"users: cannot be read: No such file or directory$"):
        UsersFile(tmp_path / "users")


def test_a_far_too_large_file_is_refused(tmp_path: Path) -> None:
    """A file over the limit is refused after reading no more than the limit."""
    with (tmp_path / "users").open("wb") as sink:
        sink.truncate(users_file.MAX_FILE_BYTES + 1)

    with pytest.raises(UsersFileError, match="found a larger file, allowed 67108864 bytes"):
        names(tmp_path / "users")


def test_a_changed_file_is_read_again(file: Path) -> None:
    """After a change the next look takes the new passwords and another version."""
    users = UsersFile(file)
    users.refresh(0.0)
    remove(file, "anna")

    users.refresh(1.0)

    assert not users.check("anna", "secret")
    assert users.version == 2


def test_the_file_is_looked_at_once_a_second(file: Path) -> None:
    """Within a second of a look a change is not seen yet."""
    users = UsersFile(file)
    users.refresh(10.0)
    remove(file, "anna")

    users.refresh(10.9)

    assert users.check("anna", "secret")
    assert users.version == 1


def test_a_file_that_stays_keeps_its_version(file: Path) -> None:
    """Looking alone changes nothing."""
    users = UsersFile(file)

    for now in range(5):
        users.refresh(float(now))

    assert users.version == 1


def test_an_unusable_change_is_told_once_and_not_taken(file: Path) -> None:
    """A slip of an editor is logged once and locks out nobody."""
    users = UsersFile(file)
    file.write_text("anna\n", encoding="utf-8")

    with capture_logs() as logs:
        users.refresh(0.0)
        users.refresh(1.0)

    assert ["users_file_unusable"] == [entry["event"] for entry in logs]
    assert users.check("anna", "secret")
    assert users.version == 1


def test_a_file_that_comes_back_is_taken(file: Path) -> None:
    """A file that was away for a while is read again when it is back."""
    users = UsersFile(file)
    away = file.rename(file.with_name("away"))
    users.refresh(0.0)
    away.rename(file)

    users.refresh(1.0)

    assert users.check("anna", "secret")
    assert users.version == 2


def test_a_user_is_added(file: Path) -> None:
    """A new user's line follows the others, and all other lines stay as they are."""
    before = file.read_text(encoding="utf-8")

    assert add(file, "DOMAIN\\Carl", "open")
    assert file.read_text(encoding="utf-8").startswith(before + "carl:$argon2id$")
    assert UsersFile(file).check("carl", "open")


def test_a_user_gets_a_new_password(file: Path) -> None:
    """Adding a user who is there changes the password in place."""
    assert not add(file, "ANNA", "changed")
    assert ["anna", "bert"] == names(file)
    assert UsersFile(file).check("anna", "changed")


def test_a_new_file_is_private(tmp_path: Path) -> None:
    """A file that is made belongs to its owner alone."""
    add(tmp_path / "users", "anna", "secret")

    assert mode(tmp_path / "users") == 0o600


@pytest.mark.parametrize(("given", "expected"), [(0o600, 0o600), (0o640, 0o640), (0o666, 0o660)])
def test_the_mode_is_kept_except_for_others(file: Path, given: int, expected: int) -> None:
    """A rewritten file keeps the rights of its owner and group, and gives none to others."""
    file.chmod(given)

    remove(file, "anna")

    assert expected == mode(file)


def test_a_link_stays_a_link(file: Path) -> None:
    """The file behind a symbolic link is changed, not the link."""
    link = file.with_name("link")
    link.symlink_to(file)

    remove(link, "anna")

    assert link.is_symlink()
    assert ["bert"] == names(file)


def test_a_user_is_removed(file: Path) -> None:
    """Removing takes the user's line alone."""
    remove(file, "Anna")

    assert f"# who may log in\n\n{BERT}\n" == file.read_text(encoding="utf-8")


def test_removing_nobody_is_told(file: Path) -> None:
    """A name that is not there cannot be removed."""
    with pytest.raises(UsersFileError, match="found no user 'carl', allowed a name of this file"):
        remove(file, "carl")


@pytest.mark.parametrize("name", ["", "#x", "a:b", "{a}", "a\nb", "x" * 321])
def test_a_name_that_cannot_be_is_refused(file: Path, name: str) -> None:
    """A name that no mailbox can have, or no line can hold, is not added."""
    with pytest.raises(UsersFileError, match="found the name"):
        add(file, name, "secret")


def test_an_empty_password_is_refused(file: Path) -> None:
    """Nobody gets an empty password."""
    with pytest.raises(UsersFileError, match="found an empty password"):
        add(file, "carl", "")


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A file that cannot be made is refused with the reason."""
    with pytest.raises(UsersFileError, match=r"cannot be changed: No such file or directory$"):
        add(tmp_path / "none" / "users", "anna", "secret")


def test_a_file_with_a_mistake_is_not_rewritten(file: Path) -> None:
    """A change of a file that cannot be read leaves it as it is."""
    file.write_text("anna\n", encoding="utf-8")

    with pytest.raises(UsersFileError, match="line 1"):
        add(file, "carl", "secret")
    assert file.read_text(encoding="utf-8") == "anna\n"


def test_nothing_is_left_of_a_failed_rewrite(file: Path) -> None:
    """A rewrite that fails leaves no temporary file behind."""
    with pytest.raises(UnicodeEncodeError):
        users_file._rewrite(file, ["\ud800"])

    assert [file] == list(file.parent.iterdir())


def test_changes_at_the_same_time_are_all_kept(file: Path) -> None:
    """Two changes of the file at once do not lose each other."""
    with ThreadPoolExecutor(4) as pool:
        added = pool.map(lambda name: add(file, name, "secret"), ["c", "d", "e", "f"])

        assert all(added)
    assert ["anna", "bert", "c", "d", "e", "f"] == names(file)


def test_a_change_under_way_is_waited_for_with_a_bound(file: Path) -> None:
    """A change that finds the file locked for too long gives up."""
    directory = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)

    allowed = "cannot be changed: Resource temporarily unavailable"
    with pytest.raises(UsersFileError, match=allowed), users_file._changing(file, within=0.01):
        pass
    os.close(directory)
