"""The policy of another program that requires of cosign's signatures what is required of Notary's here.

What it is: the trust policy, delegations and public keys in; rules, and what they leave out, out. What it is
not: the form that a program reads (`policies`).

Rules:

1. Without repositories each scope of the trust policy is a rule. With them each repository is one, by the
   scope that counts for it, or, where there is no trust policy, by what `--signer` and `--all-signers` say.
2. What no rule is for is refused, as a trust policy refuses what no scope fits.
3. A release key signs what was verified with all requirements before (`migrate cosign`): one of them must
   have signed whatever is verified.
4. A signer who is required must have signed too, where a key is given for him. Where none is, the release
   key vouches for him, and a note says so; without a release key that is an error.
5. Where nobody is required and there is no release key, one signature of any signer's key suffices, as one
   release suffices for Notary.
6. In `audit` the signatures of signers are audited. That there is a signature is enforced, as in Notary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.client.metadata.dates import role_entries
from notarypy.client.migrate.policies import containers
from notarypy.client.migrate.policies.rules import Group, NamedKey, Rule
from notarypy.client.parameters import VerifyOptions, require_lists
from notarypy.client.results import PolicyFiles
from notarypy.client.verify.sharing import current_metadata, scope_of
from notarypy.cosign import signaturekeys
from notarypy.errors import Advice, NothingThereError, UsageError
from notarypy.images.reference import parse_repository
from notarypy.tuf import roles
from notarypy.tuf.policy import Signers
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from notarypy.client.session import Session
    from notarypy.client.verdicts import RoleEntry
    from notarypy.storage.settings.policyfile import Scope

KINDS = {"containers": containers.render}
_NOTES = (
    (
        "Keys are named here in place of root pins and delegations. Whoever leaves is taken out of this "
        "policy; what his key signed until then counts no more."
    ),
    (
        "These signatures say that a digest was signed, with no date and no end: an older image that was "
        "signed under the same name passes, and no server says which digest a tag has now."
    ),
)


@dataclass(frozen=True)
class PolicyKeys:
    """The public keys of the new signatures: of releases, and of signers by their names."""

    release: tuple[NamedKey, ...]
    signers: Mapping[str, tuple[NamedKey, ...]]

    @classmethod
    def of(cls, keys: Sequence[bytes], signer_keys: Mapping[str, Sequence[bytes]]) -> PolicyKeys:
        """Read public keys, PEM; raise UnsupportedKeyError, or UsageError where there are none."""
        if not keys and not signer_keys:
            raise UsageError("no public key was given", advice=Advice("give-policy-key"))
        release = tuple(_key("release", data, number) for number, data in enumerate(keys))
        named = {roles.signer_role(name): (name, pems) for name, pems in signer_keys.items()}
        return cls(release, {
            role: tuple(_key(roles.signer_name(name), data, number) for number, data in enumerate(pems))
            for role, (name, pems) in named.items()
        })  # fmt: skip


def _key(name: str, data: bytes, number: int) -> NamedKey:
    pem = signaturekeys.load(data).pem.decode()
    return NamedKey(name if not number else f"{name}-{number + 1}", pem)


def policy_files(
    session: Session, kind: str, repositories: Sequence[str], keys: PolicyKeys, options: VerifyOptions
) -> PolicyFiles:
    """Return the files of one kind, and what they cannot say.

    Raises:
        UsageError: No key is given for a signer who is required; or there is no such kind.
        NothingThereError: There is no trust policy, and no repository was given.
    """
    require_lists(repositories=repositories)
    if kind not in KINDS:
        raise UsageError(f'there is no kind "{kind}"', advice=Advice("one-of", names=", ".join(KINDS)))
    making = _Making(session, keys, options)
    rules = [making.of_repository(each) for each in repositories] or making.of_scopes()
    if all(rule.prefix != roles.ANY for rule in rules):
        rules.append(Rule(roles.ANY, "refuse"))
    if unused := keys.signers.keys() - making.used:
        names = ", ".join(sorted(map(roles.signer_name, unused)))
        session.warn(f"nothing requires the signatures of {names}: no rule has their keys")
    written = KINDS[kind](rules, (*making.notes, *_NOTES))
    return PolicyFiles(kind, written.files, written.notes)


@dataclass
class _Making:
    """Rules in the making, and what is to be said of them."""

    session: Session
    keys: PolicyKeys
    options: VerifyOptions
    notes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def of_scopes(self) -> list[Rule]:
        """Return a rule for each scope of the trust policy (rule 1)."""
        policy = self.session.trust_policy()
        if policy is None or not policy.scopes:
            message = "no repository was given, and no scope of a trust policy"
            raise NothingThereError(message, advice=Advice("name-repository-or-scope"))
        return [self._rule(scope, scope.prefix, None) for scope in policy.scopes.values()]

    def of_repository(self, text: str) -> Rule:
        """Return the rule for a repository, whose delegations are read (rule 1)."""
        repository = parse_repository(text).repository
        scope = scope_of(self.session, text, self.options)
        if scope is not None and scope.mode == "skip":
            return Rule(repository, "accept", alone=True)
        trusted = current_metadata(self.session, text, self.options.root)
        entries = [entry for entry in role_entries(trusted) if entry.role not in roles.BASE_ROLES]
        self._note_delegations(repository, entries)
        return self._rule(scope, repository, entries)

    def _rule(self, scope: Scope | None, prefix: str, entries: Sequence[RoleEntry] | None) -> Rule:
        if scope is not None and scope.mode == "skip":
            return Rule(prefix, "accept")
        if scope is not None:
            self._note_requirements(scope)
        needed = Signers() if scope is None else scope.requirements.signers
        everyone = self._everyone(prefix, entries)
        groups = self._groups(prefix, needed, everyone)
        own = tuple(roles.signer_role(name) for name in self.options.signers)
        required = self._groups(prefix, Signers(own, everyone=self.options.all_signers), everyone)
        base = [Group(self.keys.release)] if self.keys.release else []
        audited: list[Group] = []
        if scope is not None and scope.mode == "audit":
            groups, audited = [], groups
        enforced = base + required + [group for group in groups if group not in required]
        if not enforced:
            enforced = [self._any_signer()]
        as_other = None
        if scope is not None and scope.signed_as is not None:
            as_other = scope.gun(prefix)
        return Rule(prefix, "verify", tuple(enforced), tuple(audited), as_other, alone=entries is not None)

    def _any_signer(self) -> Group:
        self.used |= self.keys.signers.keys()
        return Group(tuple(key for each in self.keys.signers.values() for key in each))

    def _everyone(self, prefix: str, entries: Sequence[RoleEntry] | None) -> list[str]:
        """Return every first-level signer; where no repository was read, those whose keys are given."""
        if entries is None:
            return list(self.keys.signers)
        signers = (entry.role for entry in entries if entry.role != roles.RELEASES)
        found = [role for role in signers if roles.parent(role) == roles.TARGETS]
        if not found and self.options.all_signers:
            raise UsageError(f"{prefix} has no signers", why="every signer is required")
        return found

    def _groups(self, prefix: str, needed: Signers, everyone: Iterable[str]) -> list[Group]:
        """Return what signers must have signed, as far as there are keys for them (rule 4)."""
        every = dict.fromkeys([*needed.every, *(everyone if needed.everyone else ())])
        known = self.keys.signers
        found = [Group(known[role]) for role in every if role in known]
        vouched = [role for role in every if role not in known]
        some = [role for role in needed.some if role in known]
        if len(some) >= needed.threshold and some:
            found.append(Group(tuple(known[role][0] for role in some), needed.threshold))
        elif needed.some:
            vouched += [role for role in needed.some if role not in known]
            some = []
        self.used.update(some, every.keys() & known.keys())
        self._note_vouched(prefix, vouched)
        return found

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
