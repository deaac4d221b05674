"""What a broker of tests needs for TLS and logins: an authority of its own, certificates for the
broker and a client, and a user for each mechanism. Made anew with each folder, by openssl.
"""
import pathlib
import subprocess

USER = "strid"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
LISTENERS = ("SSL", "SASL_SSL", "SASL_PLAINTEXT")
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
DAYS = "3650"


def openssl(*words, given=None):
    done = subprocess.run(["openssl", *map(str, words)], input=given, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(map(str, words))}: {done.stderr[-500:]}")


class Security:
    """`passwords`: by mechanism, of the one user; "key": of the client's key. Files lie in
    `folder`: ca.pem, other-ca.pem (which signed nothing), client.pem, client.key."""

    def __init__(self, folder, passwords):
        self.folder = pathlib.Path(folder).resolve()
        self.passwords = passwords

    def make(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("ca", "other-ca"):
            openssl("req", "-x509", *KEY, "-keyout", self.folder / f"{name}.key", "-out",
                    self.folder / f"{name}.pem", "-days", DAYS, "-subj", f"/CN=strid-test-{name}")
        for name in ("broker", "client"):
            self._sign(name)
        both = [(self.folder / f"broker.{end}").read_text(encoding="ascii")
                for end in ("key", "pem")]
        (self.folder / "broker-both.pem").write_text("".join(both), encoding="ascii")
        plain = self.folder / "client-plain.key"
        (self.folder / "client.key").rename(plain)
        openssl("pkcs8", "-topk8", "-in", plain, "-out", self.folder / "client.key", "-passout",
                "stdin", given=self.passwords["key"])
        plain.unlink()

    def _sign(self, name):
        request, names = self.folder / f"{name}.csr", self.folder / f"{name}.names"
        names.write_text("subjectAltName=IP:127.0.0.1\n", encoding="ascii")
        openssl("req", *KEY, "-keyout", self.folder / f"{name}.key", "-out", request, "-subj",
                f"/CN={name}")
        openssl("x509", "-req", "-in", request, "-CA", self.folder / "ca.pem", "-CAkey",
                self.folder / "ca.key", "-CAcreateserial", "-days", DAYS, "-extfile", names,
                "-out", self.folder / f"{name}.pem")

    def format_words(self):
        """For kafka.tools.StorageTool: users of SCRAM are in the log from the beginning."""
        words = []
        for name in MECHANISMS[1:]:
            words += ["--add-scram", f"{name}=[name={USER},password={self.passwords[name]}]"]
        return words

    def lines(self):
        """Of server.properties; clients of SSL need a certificate of their own."""
        logins = "org.apache.kafka.common.security"
        yield f"sasl.enabled.mechanisms={','.join(MECHANISMS)}"
        yield "listener.name.ssl.ssl.client.auth=required"
        for kind, path in (("keystore", "broker-both.pem"), ("truststore", "ca.pem")):
            yield f"ssl.{kind}.type=PEM"
            yield f"ssl.{kind}.location={self.folder / path}"
        for listener in ("sasl_ssl", "sasl_plaintext"):
            yield (f"listener.name.{listener}.plain.sasl.jaas.config={logins}.plain."
                   f"PlainLoginModule required user_{USER}=\"{self.passwords['PLAIN']}\";")
            for name in MECHANISMS[1:]:
                yield (f"listener.name.{listener}.{name.lower()}.sasl.jaas.config={logins}.scram."
                       "ScramLoginModule required;")
