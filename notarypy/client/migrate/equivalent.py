"""The policy of another program that requires of cosign's signatures what is required of Notary's here.

What it is: the trust policy, delegations and public keys in; rules, and what they leave out, out. What it is
not: the form that a program reads (`policies`).

Rules:

1. Without repositories each scope of the trust policy is a rule. With them each repository is one, by the
   scope that counts for it, and where there is no trust policy by the options alone; beside them stand scopes
   to be skipped, and what is refused within these.
2. What no rule is for is refused, as a trust policy refuses what no scope fits.
3. A release key signs what was verified with all requirements before (`migrate cosign`): one of them must
   have signed whatever is verified.
4. A signer who is required must have signed too, where a key is given for him. Where none is, the release
   key vouches for him, and a note says so; without a release key that is an error.
5. Where nobody is required and there is no release key, one signature of any signer's key suffices, as one
   release suffices for Notary.
6. In `audit` the signatures of signers are audited. That there is a signature is enforced, as in Notary.
7. A kind that knows no keys (`rego`) gets the digests of the tags that meet everything now.
8. A signer's keys are those that are given, or else those that a repository's delegation has for him.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import role_entries
from notarypy.client.migrate.policies import (
    buildkit,
    connaisseur,
    containers,
    kyverno,
    policycontroller,
    ratify,
)
from notarypy.client.migrate.policies.rules import Group, NamedKey, Rule, sentences
from notarypy.client.parameters import VerifyOptions, require_lists
from notarypy.client.results import PolicyFiles
from notarypy.client.verify.image import decide
from notarypy.client.verify.sharing import current_metadata, scope_of
from notarypy.cosign import signaturekeys
from notarypy.errors import Advice, InvalidNameError, NothingThereError, PolicyError, UsageError
from notarypy.images.reference import parse_repository
from notarypy.tuf import roles
from notarypy.tuf.keys import UnusableKey
from notarypy.tuf.policy import Signers, released_names
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from notarypy.client.session import Session
    from notarypy.client.verdicts import RoleEntry
    from notarypy.storage.settings.policyfile import Scope
    from notarypy.tuf.trusted import TrustedMetadata

KINDS = {
    "containers": containers.render,
    "kyverno": kyverno.render,
    "policy-controller": policycontroller.render,
    "connaisseur": connaisseur.render,
    "ratify": ratify.render,
    "rego": buildkit.render,
}
_BY_DIGEST = frozenset({"rego"})
_NOTES = sentences("""
Keys are named here in place of root pins and delegations. Whoever leaves is taken out of this policy;
what his key signed until then counts no more.

These signatures say that a digest was signed, with no date and no end: an older image that was signed
under the same name passes, and no server says which digest a tag has now.
""")


@dataclass(frozen=True)
class PolicyKeys:
    """The public keys of the new signatures: of releases, and of signers by their roles.

    A signer without any signs with those that he has in Notary (rule 8).
    """

    release: tuple[NamedKey, ...]
    signers: Mapping[str, tuple[NamedKey, ...]]

    @classmethod
    def of(cls, keys: Sequence[bytes], signer_keys: Mapping[str, Sequence[bytes]]) -> PolicyKeys:
        """Read public keys, PEM; raise UnsupportedKeyError."""
        release = tuple(_key("release", data, number) for number, data in enumerate(keys))
        return cls(release, {
            roles.signer_role(name): tuple(_key(name, data, number) for number, data in enumerate(pems))
            for name, pems in signer_keys.items()
        })  # fmt: skip


def _key(name: str, data: bytes, number: int) -> NamedKey:
    pem = signaturekeys.load(data).pem.decode()
    return NamedKey(name if not number else f"{name}-{number + 1}", pem)


def _delegated(role: str, trusted: TrustedMetadata | None) -> tuple[NamedKey, ...]:
    """Return the keys that a signer has in Notary, of those that can ever sign."""
    above = None if trusted is None else trusted.targets.get(roles.parent(role))
    listed = () if above is None else above.signers(role)[0]
    pems = [signaturekeys.of(key).pem for key in listed if not isinstance(key, UnusableKey)]
    return tuple(_key(roles.signer_name(role), pem, number) for number, pem in enumerate(pems))


def policy_files(
    session: Session, kind: str, repositories: Sequence[str], keys: PolicyKeys, options: VerifyOptions
) -> PolicyFiles:
    """Return the files of one kind, and what they cannot say.

    Raises:
        UsageError: No key is given for a signer who is required, or at all; or the kind cannot say a rule.
        NothingThereError: There is no trust policy, and no repository was given.
    """
    require_lists(repositories=repositories)
    if kind not in KINDS:
        raise UsageError(f'there is no kind "{kind}"', advice=Advice("one-of", names=", ".join(KINDS)))
    by_digest = kind in _BY_DIGEST
    if not (by_digest or keys.release or keys.signers):
        raise UsageError("no public key was given", advice=Advice("give-policy-key"))
    making = _Making(session, keys, options, by_digest=by_digest)
    rules = making.of_repositories(repositories) if repositories else making.of_scopes()
    if all(rule.prefix != roles.ANY for rule in rules):
        rules.append(Rule(roles.ANY, "refuse"))
    if not by_digest and (unused := keys.signers.keys() - making.used):
        names = ", ".join(sorted(map(roles.signer_name, unused)))
        session.warn(f"nothing requires the signatures of {names}: no rule has their keys")
    written = KINDS[kind](rules, (*making.notes, *_NOTES[by_digest:]))
    return PolicyFiles(kind, written.files, written.notes)


@dataclass
class _Making:
    """Rules in the making, and what is to be said of them."""

    session: Session
    keys: PolicyKeys
    options: VerifyOptions
    by_digest: bool
    notes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    known: dict[str, tuple[NamedKey, ...]] = field(default_factory=dict)

    def of_scopes(self) -> list[Rule]:
        """Return a rule for each scope of the trust policy (rule 1)."""
        policy = self.session.trust_policy()
        if policy is None or not policy.scopes:
            message = "no repository was given, and no scope of a trust policy"
            raise NothingThereError(message, advice=Advice("name-repository-or-scope"))
        return [self._rule(scope, scope.prefix) for scope in policy.scopes.values()]

    def of_repositories(self, texts: Sequence[str]) -> list[Rule]:
        """Return a rule for each repository, and for what may not be lost of the trust policy (rule 1)."""
        rules = {rule.prefix: rule for rule in map(self._of_repository, texts)}
        policy = self.session.trust_policy()
        scopes = () if policy is None else policy.scopes.values()
        skipped = [Rule(scope.prefix, "accept") for scope in scopes if scope.mode == "skip"]
        for scope in scopes:
            refused = Rule(scope.prefix, "refuse")
            if scope.mode != "skip" and any(rule.contains(refused) for rule in skipped):
                rules.setdefault(scope.prefix, refused)
        return [*({rule.prefix: rule for rule in skipped} | rules).values()]

    def _of_repository(self, text: str) -> Rule:
        repository = parse_repository(text).repository
        scope = scope_of(self.session, text, self.options)
        if scope is not None and scope.mode == "skip":
            return Rule(repository, "accept", alone=True)
        trusted = current_metadata(self.session, text, self.options.root)
        if self.by_digest:
            return Rule(repository, "verify", alone=True, released=self._released(trusted, repository, scope))
        return self._rule(scope, repository, trusted)

    def _released(self, trusted: TrustedMetadata, repository: str, scope: Scope | None) -> dict[str, str]:
        """Return the digests of the tags that meet everything (rule 7)."""
        found, parsed, warn = {}, parse_repository(repository), self.session.warn
        for tag in released_names(trusted):
            try:
                asked = parsed.with_tag(tag)
                image = decide(trusted, asked, self.options, scope, written=repository, warn=warn)
            except (InvalidNameError, PolicyError) as error:
                self._note(f"{tag} of {repository} is not among them: {error.message}.")
            else:
                found[tag] = image.digest
        return found

    def _rule(self, scope: Scope | None, prefix: str, trusted: TrustedMetadata | None = None) -> Rule:
        """Return what a scope, if there is one, and the options require of a prefix (rules 3 to 6)."""
        if scope is not None and scope.mode == "skip":
            return Rule(prefix, "accept")
        if self.by_digest:
            return Rule(prefix, "verify")
        if scope is not None:
            self._note_requirements(scope)
        needed = Signers() if scope is None else scope.requirements.signers
        self.known = self._known(prefix, trusted)
        everyone = self._everyone(prefix, trusted)
        groups, audited = self._groups(prefix, needed, everyone), list[Group]()
        own = tuple(roles.signer_role(name) for name in self.options.signers)
        enforced = [Group(self.keys.release)] if self.keys.release else []
        enforced += self._groups(prefix, Signers(own, everyone=self.options.all_signers), everyone)
        if scope is not None and scope.mode == "audit":
            groups, audited = [], [group for group in groups if group not in enforced]
        enforced += [group for group in groups if group not in enforced]
        signed_as = None if scope is None or scope.signed_as is None else scope.gun(prefix)
        alone = trusted is not None
        return Rule(
            prefix, "verify", tuple(enforced) or (self._any_signer(),), tuple(audited), signed_as, alone
        )

    def _any_signer(self) -> Group:
        self.used |= self.known.keys()
        return Group(tuple(key for each in self.known.values() for key in each))

    def _known(self, prefix: str, trusted: TrustedMetadata | None) -> dict[str, tuple[NamedKey, ...]]:
        """Return the keys of each signer who has some (rule 8)."""
        found = {role: keys or _delegated(role, trusted) for role, keys in self.keys.signers.items()}
        lacking = [roles.signer_name(role) for role, keys in found.items() if not keys]
        if lacking and (trusted is None or not (self.keys.release or any(found.values()))):
            advice = Advice("give-signer-key", name=lacking[0])
            why = (
                f"{prefix} has none that can be used"
                if trusted
                else "only a repository's delegations have some"
            )
            raise UsageError(f"no key is known of {', '.join(lacking)}", why=why, advice=advice)
        return {role: keys for role, keys in found.items() if keys}

    def _everyone(self, prefix: str, trusted: TrustedMetadata | None) -> list[str]:
        """Return every first-level signer; where no repository was read, those whose keys are given."""
        if trusted is None:
            return list(self.keys.signers)
        entries = [entry for entry in role_entries(trusted) if entry.role not in roles.BASE_ROLES]
        self._note_delegations(prefix, entries)
        signers = (entry.role for entry in entries if entry.role != roles.RELEASES)
        found = [role for role in signers if roles.parent(role) == roles.TARGETS]
        if not found and self.options.all_signers:
            raise UsageError(f"{prefix} has no signers", why="every signer is required")
        return found

    def _groups(self, prefix: str, needed: Signers, everyone: Iterable[str]) -> list[Group]:
        """Return what signers must have signed, as far as there are keys for them (rule 4)."""
        every = dict.fromkeys([*needed.every, *(everyone if needed.everyone else ())])
        known = self.known
        found = [Group(known[role]) for role in every if role in known]
        vouched = [role for role in every if role not in known]
        some = [role for role in needed.some if role in known]
        if len(some) >= needed.threshold and some:
            found.append(self._counted(some, needed.threshold))
        elif needed.some:
            vouched += [role for role in needed.some if role not in known]
            some = []
        self.used.update(some, every.keys() & known.keys())
        self._note_vouched(prefix, vouched)
        return found

    def _counted(self, some: Sequence[str], threshold: int) -> Group:
        """Return the group of some signers; where they are counted, a key must not count for two."""
        keys = tuple(key for role in some for key in self.known[role])
        if threshold > 1 and (len(keys) > len(some) or len({key.pem for key in keys}) < len(keys)):
            names = ", ".join(map(roles.signer_name, some))
            why = f"{threshold} of {names} must sign, so each takes one key, and another one"
            raise UsageError(
                "signers cannot be counted by these keys", why=why, advice=Advice("one-key-each")
            )
        return Group(keys, threshold)

    def _note_vouched(self, prefix: str, vouched: Sequence[str]) -> None:
        names = ", ".join(map(roles.signer_name, vouched))
        if vouched and not self.keys.release:
            advice = Advice("give-signer-key", name=roles.signer_name(vouched[0]))
            raise UsageError(f"no key is given for {names}, whom {prefix} requires", advice=advice)
        if vouched:
            self._note(
                f"{prefix} requires {names}, of whom no key is given: whoever signs with the release key has "
                "to verify that first, and nobody can afterwards."
            )

    def _note_requirements(self, scope: Scope) -> None:
        needed = scope.requirements
        if needed.max_age.timestamp or needed.max_age.signatures:
            self._note(f"{scope.prefix} has a max_age: these signatures have no date, and no age.")
        if needed.signers.everyone:
            self._note(f"{scope.prefix} requires everyone: a signer who comes later is not known here.")

    def _note_delegations(self, repository: str, entries: Sequence[RoleEntry]) -> None:
        for entry in entries:
            name = roles.signer_name(entry.role)
            if "" not in entry.paths:
                paths = ", ".join(map(repr, entry.paths)) or "nothing"
                self._note(
                    f"{name} may sign only tags of {repository} that begin with {paths}: not said here."
                )
            if entry.threshold > 1:
                self._note(f"{name} of {repository} takes {entry.threshold} keys to sign: one suffices here.")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
