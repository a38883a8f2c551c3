"""A signed C2PA claim in a finished video: who says how it was made, and that nobody has changed it since.

Needs the extra `faceorch[c2pa]` (contentauth's library). The library reads a file that others have made, and is native
code: a process of its own does that, so that what goes wrong there is a remark and no more. The key is the user's
(`FACEORCH_C2PA_CERT` and `FACEORCH_C2PA_KEY`, PEM), or one that is made here once and that no list of trust has.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from faceorch import proc
from faceorch.files import write_atomically
from faceorch.media.marks import SOURCE_TYPE
from faceorch.paths import home

ENV_CERTIFICATE, ENV_KEY, ENV_WANTED = "FACEORCH_C2PA_CERT", "FACEORCH_C2PA_KEY", "FACEORCH_C2PA"
_LIMIT_S = 300.0
_VALID_DAYS = 3650
_ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


class Unsigned(Exception):
    """A video cannot be given a claim; the message says why in one line."""


def available() -> bool:
    """Return whether the extra is installed, and not forbidden by `FACEORCH_C2PA=0`."""
    return os.environ.get(ENV_WANTED) != "0" and importlib.util.find_spec("c2pa") is not None


def sign(video: Path, *, version: str, title: str) -> str:
    """Add a signed claim to a video; return who has signed, in a few words. `Unsigned` leaves it as it was."""
    signed = video.with_name(f".{video.name}.signed")
    try:
        certificate, key, who = _identity()
        video, signed = video.absolute(), signed.absolute()
        order = {"source": str(video), "target": str(signed), "certificate": str(certificate), "key": str(key)}
        order |= {"version": version, "title": title}
        proc.convert([sys.executable, "-m", __name__], json.dumps(order).encode(), limit_s=_LIMIT_S)
        os.replace(signed, video)
        video.chmod(0o644)
    except (proc.Failed, OSError) as error:
        raise Unsigned(str(error)) from error
    finally:
        signed.unlink(missing_ok=True)
    return who


def _identity() -> tuple[Path, Path, str]:
    """Return the certificate, the key, and whose they are."""
    certificate, key = os.environ.get(ENV_CERTIFICATE), os.environ.get(ENV_KEY)
    if certificate and key:
        return Path(certificate), Path(key), f"signed with {Path(certificate).name}"
    if certificate or key:
        raise Unsigned(f"{ENV_CERTIFICATE} and {ENV_KEY} belong together")
    folder = home() / "c2pa"
    own = folder / "certificate.pem", folder / "key.pem"
    if not all(path.is_file() for path in own):
        _make_identity(*own)
    return (*own, "signed with a certificate of this host, which no list of trust has")


def _make_identity(certificate: Path, key: Path) -> None:
    """Make an authority and a certificate of it, as C2PA asks for them: a claim cannot be signed by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    begin = datetime.now(timezone.utc) - timedelta(days=1)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "faceorch")]
        )
        for name in ("faceorch on this host: authority", "faceorch on this host")
    ]
    authority = x509.SubjectKeyIdentifier.from_public_key(keys[0].public_key())
    made = []
    for number in (0, 1):
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[number])
            .issuer_name(names[0])
            .public_key(keys[number].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=_VALID_DAYS))
            .add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
            .add_extension(_usage(authority=number == 0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[number].public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False)
        )
        if number == 1:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purpose, critical=False)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(key, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(secret)
    write_atomically(certificate, made[1] + made[0])


def _usage(*, authority: bool) -> Any:
    from cryptography import x509

    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    allowed = dict.fromkeys([*names.split(), "crl_sign", "encipher_only", "decipher_only"], False)
    allowed |= {"key_cert_sign": authority, "crl_sign": authority, "digital_signature": not authority}
    return x509.KeyUsage(**allowed)


def main() -> None:
    """Sign what stdin describes."""
    import c2pa
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    order = json.load(sys.stdin)
    secret = Path(order["key"]).read_bytes()
    key = load_pem_private_key(secret, None)
    algorithm = _ALGORITHMS[key.curve.name] if isinstance(key, ec.EllipticCurvePrivateKey) else "ps256"
    manifest = {
        "claim_generator_info": [{"name": "faceorch", "version": order["version"]}],
        "format": "video/mp4",
        "title": order["title"],
        "assertions": [
            {
                "label": "c2pa.actions",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}]},
            }
        ],
    }
    info = c2pa.C2paSignerInfo(algorithm, Path(order["certificate"]).read_bytes(), secret, None)
    with (
        c2pa.Signer.from_info(info) as signer,
        c2pa.Builder(manifest) as builder,
        open(order["source"], "rb") as source,
        open(order["target"], "w+b") as target,
    ):
        builder.sign(signer, "video/mp4", source, target)


if __name__ == "__main__":
    main()
