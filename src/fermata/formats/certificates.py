"""Certificates of servers (X.509 in PEM): what they are of, until when, and whether a key is theirs."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from fermata.domain.doctor_facts import Certificate, TlsFiles


def read_tls(file: Path, key: Path) -> TlsFiles:
    """What stands in a certificate's file, the first of its chain, beside the key."""
    try:
        found = x509.load_pem_x509_certificate(file.read_bytes())
        private = load_pem_private_key(key.read_bytes(), password=None)
        is_of_key, names = _spki(found.public_key()) == _spki(private.public_key()), _names(found)
    except OSError as error:
        return TlsFiles(file=str(file), key=str(key), why=f"{error.filename}: {error.strerror}")
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        why = "a certificate and a key that is readable without a passphrase are not there"
        return TlsFiles(file=str(file), key=str(key), why=why)
    certificate = Certificate(
        names=names, start=found.not_valid_before_utc, end=found.not_valid_after_utc, is_of_key=is_of_key
    )
    return TlsFiles(file=str(file), key=str(key), found=certificate)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Hosts and addresses that it is valid for: those of its extension alone, as browsers read it."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = (str(address) for address in found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _spki(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined, no-any-return]
