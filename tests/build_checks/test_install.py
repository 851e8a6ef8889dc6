"""What `make install` puts where, and that the version has one source."""

import os
import re
import subprocess

import workspace
from workspace import BUILD, ROOT


def control_version() -> str:
    """The version the control file names."""
    return re.search(r"^default_version *= *'(.*)'", (ROOT / "extension" / "paysync.control").read_text(), re.MULTILINE)[1]


def test_install_places_every_part(tmp_path):
    """Rule: make install puts the extension where the server looks, programs, library, header, unit and sample below prefix; DESTDIR
    leads all; a configuration that is there stays."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}", "prefix=/opt/paysync", f"BUILD={BUILD}"], cwd=ROOT,
                   env=environment, check=True, capture_output=True)
    share = workspace.pg_config("--sharedir").lstrip("/")
    library = workspace.pg_config("--pkglibdir").lstrip("/")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted([
        f"{share}/extension/paysync.control", f"{share}/extension/paysync--{control_version()}.sql",
        f"{share}/extension/paysync--0.1.0.sql", f"{share}/extension/paysync--0.1.0--0.2.0.sql",
        f"{share}/extension/paysync--0.2.0.sql", f"{share}/extension/paysync--0.2.0--0.3.0.sql", f"{library}/paysync.so",
        "opt/paysync/bin/paysync-relay", "opt/paysync/bin/paysync", "opt/paysync/lib/libpaysync.a",
        "opt/paysync/include/paysync.hpp", "opt/paysync/etc/paysync/relay.toml", "opt/paysync/share/doc/paysync/relay.toml",
        "opt/paysync/lib/systemd/system/paysync-relay.service"])
    unit = (tmp_path / "opt/paysync/lib/systemd/system/paysync-relay.service").read_text()
    assert "ExecStart=/opt/paysync/bin/paysync-relay --config /opt/paysync/etc/paysync/relay.toml\n" in unit and "@" not in unit.replace("@system", "")
    # A configuration that is there is somebody's.
    config = tmp_path / "opt/paysync/etc/paysync/relay.toml"
    subprocess.run([BUILD / "bin" / "paysync-relay", "--config", config, "--check"], check=True, capture_output=True)
    config.write_text("verify = false\n")
    subprocess.run(["make", "-s", "install-relay", f"DESTDIR={tmp_path}", "prefix=/opt/paysync", f"BUILD={BUILD}"], cwd=ROOT,
                   env=environment, check=True, capture_output=True)
    assert config.read_text() == "verify = false\n"


def test_programs_say_the_version():
    """Rule: the control file's version is the version of every part."""
    for program in ("paysync-relay", "paysync"):
        done = subprocess.run([BUILD / "bin" / program, "--version"], check=True, capture_output=True, text=True, timeout=20)
        assert control_version() in done.stdout


def test_the_library_links_alone(tmp_path):
    """Rule: a program needs libpaysync.a and libzmq, no other library of ours or of anyone."""
    source = tmp_path / "program.cpp"
    source.write_text('#include "paysync.hpp"\nint main() { return 0; }\n')
    subprocess.run(["g++", "-std=c++20", f"-I{ROOT / 'clients' / 'cpp'}", "-o", tmp_path / "program", source,
                    "-Wl,--whole-archive", BUILD / "lib" / "libpaysync.a", "-Wl,--no-whole-archive", "-lzmq", "-pthread"],
                   check=True, capture_output=True)
    subprocess.run([tmp_path / "program"], check=True)
