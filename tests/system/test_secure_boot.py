# SPDX-License-Identifier: BSD-2-Clause
"""Secure Boot with keys of our own: the firmware starts what is signed with them, and nothing else."""

import struct
import tempfile
import uuid
from pathlib import Path

from support import LONG, TREE, SystemTest, run
from uefi_machine import OVMF, UefiMachine, esp

GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")    # EFI_GLOBAL_VARIABLE
DATABASE = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")  # EFI_IMAGE_SECURITY_DATABASE_GUID
X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")      # EFI_CERT_X509_GUID
OWNER = uuid.UUID("00000000-0000-0000-0000-0000000b0147")
STORE_HEADERS = 0x48 + 28  # of the flash volume and of the variable store (EDK II)


def signature_list(certificate):
    """An EFI_SIGNATURE_LIST with one X.509 certificate. UEFI 2.10 "Signature Database"."""
    entry = OWNER.bytes_le + certificate
    return X509.bytes_le + struct.pack("<III", 28 + len(entry), 0, len(entry)) + entry


def variable(name, owner, data):
    """One variable as EDK II keeps it in flash (AUTHENTICATED_VARIABLE_HEADER): non-volatile,
    for boot services and run time, with authenticated writes."""
    name = name.encode("utf-16-le") + b"\0\0"
    time = struct.pack("<HBBBBBBIhBB", 2024, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    header = struct.pack("<HBBIQ", 0x55AA, 0x3F, 0, 0x27, 0) + time + struct.pack(
        "<III", 0, len(name), len(data)) + owner.bytes_le
    return (header + name + data + b"\xff" * 3)[:(len(header + name + data) + 3) & ~3]


def enrol(certificate, store):
    """A variable store where the certificate is platform key, key exchange key, and the one whose
    signatures are accepted."""
    flash = bytearray((OVMF / "OVMF_VARS_4M.fd").read_bytes())
    keys = b"".join(variable(name, owner, signature_list(certificate))
                    for name, owner in (("PK", GLOBAL), ("KEK", GLOBAL), ("db", DATABASE)))
    assert set(flash[STORE_HEADERS:STORE_HEADERS + len(keys)]) == {0xFF}, "not an empty store"
    flash[STORE_HEADERS:STORE_HEADERS + len(keys)] = keys
    store.write_bytes(flash)
    return store


class SecureBoot(SystemTest):
    """One machine with three disks: the firmware goes on to the next one when it refuses."""

    cost = 30

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="bulkhead-keys-")
        cls.addClassCleanup(folder.cleanup)
        cls.work = Path(folder.name)
        run("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
            "-subj", "/CN=Bulkhead test", "-keyout", cls.work / "own.key", "-out", cls.work / "own.crt")
        run("openssl", "x509", "-in", cls.work / "own.crt", "-outform", "DER", "-out", cls.work / "own.der")
        run("make", "--no-print-directory", "CONFIG=tests/config/bench.yaml", "sign",
            f"KEY={cls.work}/own.key", f"CERT={cls.work}/own.crt")
        build = TREE / "build" / "bench"
        altered = bytearray((build / "BOOTX64.signed.EFI").read_bytes())
        altered[len(altered) // 2] ^= 1
        (cls.work / "altered.EFI").write_bytes(altered)
        cls.disks = [esp(build / "BOOTX64.EFI", cls.work / "unsigned.img"),
                     esp(cls.work / "altered.EFI", cls.work / "altered.img"),
                     esp(build / "BOOTX64.signed.EFI", cls.work / "signed.img")]

    def test_only_the_signed_image_is_started(self):
        store = enrol((self.work / "own.der").read_bytes(), self.work / "vars.fd")
        with UefiMachine(self.disks, store, secure=True) as machine:
            for number in (1, 2):
                machine.expect(rf"^BdsDxe: failed to load Boot000{number} .*: Access Denied$", LONG)
                self.assertNotIn("[bulkhead]", machine.console)
            machine.expect(r"^BdsDxe: starting Boot0003 ", LONG)
            machine.expect(r"^\[bulkhead\] UEFI loader, .*, Secure Boot on$", LONG)
            machine.expect(r"^\[bulkhead\] REFUSED: 1 of 1 cores cannot run guests", LONG)
