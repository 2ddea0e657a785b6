"""The policy of another program that requires of cosign's signatures what is required of Notary's here.

What it is: the trust policy, delegations and public keys in; rules, and what they leave out, out. What it is
not: the form that a program reads (`policies`), or which image is taken here (`client.verify`).

Rules:

1. Without repositories each scope of the trust policy is a rule. With them each repository is one, by the
   scope that counts for it, and where there is no trust policy by the options alone; beside them stand scopes
   to be skipped, and what is refused within these. Where the options require something nothing is skipped.
   A registry stands in the one spelling that counts for all (`tuf.roles`, rule 4).
2. What no rule is for is refused, as a trust policy refuses what no scope fits.
3. A release key signs what was verified with all requirements before (`migrate cosign`): one of them must
   have signed whatever is verified.
4. A signer who is required must have signed too, where a key is given for him. Where none is, the release
   key vouches for him, and a note says so; without a release key that is an error.
5. Where nobody is required and there is no release key, one signature of any signer's key suffices, as one
   release suffices for Notary.
6. In `audit` the signatures of signers are audited. That there is a signature is enforced, as in Notary.
7. A kind that knows no keys (`rego`) gets the digests of the tags that meet everything now. Which tags there
   are Notary says: where nothing of it is required, that is an error.
8. Rules 3 to 6 say what stands for Notary's word, where it is asked for. What the trust policy requires of
   cosign is required with the keys that it names, by the same count: beside that, alone, or as another way.
9. Every signer is required by the delegations of repositories that are named. Of a scope they are the
   signers whose keys are given, and the release key vouches for the others; without one that is an error.
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
from notarypy.client.migrate.policies.rules import (
    Group,
    Rule,
    counted,
    delegated,
    either,
    of_cosign,
    sentences,
)
from notarypy.client.parameters import VerifyOptions, require_lists
from notarypy.client.verify.image import decide, verify_unless_skipped
from notarypy.client.verify.sharing import MetadataCache, current_metadata, scope_of
from notarypy.errors import (
    Advice,
    ImageMissingError,
    InvalidNameError,
    NothingThereError,
    TrustError,
    UsageError,
)
from notarypy.images.reference import parse_repository
from notarypy.storage.settings.requiredsignatures import RequiredSignatures
from notarypy.tuf import roles
from notarypy.tuf.policy import Signers, released_names
from notarypy.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from notarypy.client.migrate.policies.rules import NamedKey, PolicyKeys
    from notarypy.client.results import PolicyFiles
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
_BY_DIGEST, _AUDIT = frozenset({"rego"}), frozenset({"kyverno", "policy-controller"})
_NOTES = sentences("""
Keys are named here in place of root pins and delegations. Whoever leaves is taken out of this policy;
what his key signed until then counts no more.

These signatures say that a digest was signed, with no date and no end: an older image that was signed
under the same name passes, and no server says which digest a tag has now.
""")
_SPELLING = sentences("""
Names of registries are compared as they are written, by Kyverno alone in any spelling: REGISTRY.TEST or
registry.test:443 is not registry.test elsewhere, and passes, as everything does that no other rule is for.
""")


def policy_files(
    session: Session, kind: str, repositories: Sequence[str], keys: PolicyKeys, options: VerifyOptions
) -> PolicyFiles:
    """Return the files of one kind, and what they cannot say.

    Raises:
        UsageError: No key is given for a signer who is required, or where Notary is; or the kind cannot say a
            rule.
        ConfigurationError: The trust policy names keys that cannot be read.
        NothingThereError: There is no trust policy, and no repository was given.
    """
    require_lists(repositories=repositories)
    if kind not in KINDS:
        raise UsageError(f'there is no kind "{kind}"', advice=Advice("one-of", names=", ".join(KINDS)))
    by_digest = kind in _BY_DIGEST
    builder = PolicyBuilder(session, keys, options, by_digest=by_digest)
    rules = builder.of_repositories(repositories) if repositories else builder.of_scopes()
    if all(rule.prefix != roles.ANY for rule in rules):
        rules.append(Rule(roles.ANY, "refuse"))
    given = {*keys.signers, *([roles.RELEASES] if keys.release else [])}
    if unused := given - builder.used:
        names = ", ".join(sorted(map(roles.signer_name, unused)))
        session.warn(f"nothing requires the signatures of {names}: no rule has their keys")
    if audited := ", ".join(rule.prefix for rule in rules if rule.audited and kind not in _AUDIT):
        builder.notes.append(f"Nothing can be audited here: what is only audited is left out ({audited}).")
    open_rest = any((rule.prefix, rule.verdict) == (roles.ANY, "accept") for rule in rules)
    notes = (*builder.notes, *(_SPELLING if open_rest else ()), *(() if by_digest else _NOTES))
    return KINDS[kind](rules, notes)


@dataclass
class PolicyBuilder:
    """Builds the rules of one policy, and notes what they leave out; `used` are roles whose keys count."""

    session: Session
    keys: PolicyKeys
    options: VerifyOptions
    by_digest: bool
    notes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    known: dict[str, tuple[NamedKey, ...]] = field(default_factory=dict)
    cache: MetadataCache = field(default_factory=MetadataCache)

    def of_scopes(self) -> list[Rule]:
        """Return a rule for each scope of the trust policy (rule 1)."""
        policy = self.session.trust_policy()
        if policy is None or not policy.scopes:
            message = "no repository was given, and no scope of a trust policy"
            raise NothingThereError(message, advice=Advice("name-repository-or-scope"))
        return [self._rule(scope, roles.comparable(scope.prefix)) for scope in policy.scopes.values()]

    def of_repositories(self, texts: Sequence[str]) -> list[Rule]:
        """Return a rule for each repository, and for what may not be lost of the trust policy (rule 1)."""
        rules = {rule.prefix: rule for rule in map(self._of_repository, texts)}
        policy = self.session.trust_policy()
        scopes = {} if policy is None else policy.scopes
        skips = {roles.comparable(each): scopes[each].mode == "skip" for each in scopes}
        lets_skip = not self.options.needs_verification
        skipped = [Rule(prefix, "accept") for prefix, skip in skips.items() if skip and lets_skip]
        for prefix, skip in skips.items():
            refused = Rule(prefix, "refuse")
            if not skip and any(rule.contains(refused) for rule in skipped):
                rules.setdefault(prefix, refused)
        return [*({rule.prefix: rule for rule in skipped} | rules).values()]

    def _of_repository(self, text: str) -> Rule:
        repository = roles.comparable(parse_repository(text).repository)
        scope = scope_of(self.session, text, self.options)
        if scope is not None and scope.mode == "skip":
            return Rule(repository, "accept", alone=True)
        asks = self._asks_notary(scope, repository)
        trusted = current_metadata(self.session, text, self.options.root) if asks else None
        if not self.by_digest:
            return replace(self._rule(scope, repository, trusted), alone=True)
        if trusted is None:
            message, why = f"nobody lists the tags of {repository}", "of Notary nothing is required there"
            raise UsageError(message, why=why, advice=Advice("other-kind"))
        return Rule(repository, "verify", alone=True, released=self._released(trusted, text, scope))

    def _released(self, trusted: TrustedMetadata, text: str, scope: Scope | None) -> dict[str, str]:
        """Return the digests of the tags that meet everything (rule 7)."""
        found, parsed, warn = {}, parse_repository(text), self.session.warn
        by_cosign = scope is not None and scope.require.cosign is not None
        for tag in released_names(trusted):
            try:
                asked = parsed.with_tag(tag)
                if by_cosign:
                    image = verify_unless_skipped(self.session, str(asked), self.options, cache=self.cache)
                else:
                    image = decide(trusted, asked, self.options, scope, written=parsed.repository, warn=warn)
            except (InvalidNameError, TrustError, ImageMissingError) as error:
                self._note(f"{tag} of {text} is not among them: {error.message}.")
            else:
                found[tag] = image.digest
        return found

    def _asks_notary(self, scope: Scope | None, prefix: str) -> bool:
        """Tell whether Notary's word is asked for, and what stands for it is given (rule 8)."""
        required = _required(scope)
        if self.by_digest or self.keys.release or self.keys.signers:
            return required.notary or self.options.needs_notary
        if self.options.needs_notary or (required.notary and not required.either):
            why = f"{prefix} requires Notary, and a key has to stand for its word"
            raise UsageError("no public key was given", why=why, advice=Advice("give-policy-key"))
        return False

    def _rule(self, scope: Scope | None, prefix: str, trusted: TrustedMetadata | None = None) -> Rule:
        """Return what a scope, if there is one, and the options require of a prefix (rule 8)."""
        if scope is not None and scope.mode == "skip":
            if not self.options.needs_verification:
                return Rule(prefix, "accept")
            scope = None
        if self.by_digest:
            return Rule(prefix, "verify")
        required, enforced, audited = _required(scope), list[Group](), list[Group]()
        if self._asks_notary(scope, prefix):
            enforced, audited = self._of_notary(scope, prefix, trusted)
        cosign = [] if required.cosign is None else of_cosign(required.cosign)
        if not required.either:
            (audited if scope is not None and scope.mode == "audit" else enforced).extend(cosign)
        elif not self.options.needs_notary:
            enforced = either(enforced, cosign) if enforced else cosign
            self._note(f"{prefix} takes cosign's word where Notary has none: what Notary denies passes here.")
        enforced = list(dict.fromkeys(enforced))
        audited = [group for group in dict.fromkeys(audited) if group not in enforced]
        signed_as = None if scope is None or scope.signed_as is None else scope.gun(prefix)
        return Rule(prefix, "verify", tuple(enforced), tuple(audited), signed_as)

    def _of_notary(
        self, scope: Scope | None, prefix: str, trusted: TrustedMetadata | None
    ) -> tuple[list[Group], list[Group]]:
        """Return what is enforced and what is audited in place of Notary's word (rules 3 to 6)."""
        audits, needed = False, Signers()
        if scope is not None:
            ages = scope.requirements.max_age
            if ages.timestamp or ages.signatures:
                self._note(f"{prefix} has a max_age: these signatures have no date, and no age.")
            audits, needed = scope.mode == "audit", scope.requirements.signers
        own = Signers(tuple(map(roles.signer_role, self.options.signers)), everyone=self.options.all_signers)
        self.known = self._known(prefix, trusted)
        if trusted is not None:
            self._note_delegations(prefix, role_entries(trusted))
        everyone: list[str] = []
        if needed.everyone or own.everyone:
            everyone = self._everyone(prefix, trusted, strict=own.everyone or not audits)
        enforced = [Group(self.keys.release)] if self.keys.release else []
        self.used |= {roles.RELEASES} if self.keys.release else set()
        enforced += self._groups(prefix, own, everyone)
        groups = self._groups(prefix, needed, everyone)
        enforced += [] if audits else groups
        if not enforced:
            self.used |= self.known.keys()
            enforced = counted([*self.known.values()], 1)
        return enforced, groups if audits else []

    def _known(self, prefix: str, trusted: TrustedMetadata | None) -> dict[str, tuple[NamedKey, ...]]:
        """Return the keys of each signer who has some (`policies.rules`, 9)."""
        found = {role: keys or delegated(role, trusted) for role, keys in self.keys.signers.items()}
        lacking = [roles.signer_name(role) for role, keys in found.items() if not keys]
        if lacking and (trusted is None or not (self.keys.release or any(found.values()))):
            message, advice = (
                f"no key is known of {', '.join(lacking)}",
                Advice("give-signer-key", name=lacking[0]),
            )
            why = f"{prefix} has none of use" if trusted else "only a repository's delegations have some"
            raise UsageError(message, why=why, advice=advice)
        return {role: keys for role, keys in found.items() if keys}

    def _everyone(self, prefix: str, trusted: TrustedMetadata | None, *, strict: bool) -> list[str]:
        """Return every first-level signer, or where no repository was read what is known of them (rule 9)."""
        later = f"{prefix} requires everyone: a signer who comes later is not known here"
        if trusted is None:
            if strict and not self.keys.release:
                why, advice = "the delegations of a repository that is named do", Advice("give-policy-key")
                raise UsageError(f"nobody says who every signer of {prefix} is", why=why, advice=advice)
            self._note(f"{later}, nor is one of today whose key was not given.")
            return list(self.keys.signers)
        self._note(f"{later}.")
        signers = [entry.role for entry in role_entries(trusted)]
        found = [role for role in signers if role != roles.RELEASES and roles.parent(role) == roles.TARGETS]
        if strict and not found:
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
            found += self._counted(some, needed.threshold)
        elif needed.some:
            vouched += [role for role in needed.some if role not in known]
            some = []
        self.used.update(some, every.keys() & known.keys())
        self._note_vouched(prefix, vouched)
        return found

    def _counted(self, some: Sequence[str], threshold: int) -> list[Group]:
        """Return the groups of some signers; where they are counted, a key must not count for two."""
        owners = [self.known[role] for role in some]
        if threshold > 1 and len(set().union(*owners)) < sum(map(len, owners)):
            names, message = (
                ", ".join(map(roles.signer_name, some)),
                "signers cannot be counted by these keys",
            )
            why = f"{threshold} of {names} must sign, and two of them have one key"
            raise UsageError(message, why=why, advice=Advice("one-key-each"))
        return counted(owners, threshold)

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

    def _note_delegations(self, repository: str, entries: Iterable[RoleEntry]) -> None:
        for entry in [each for each in entries if each.role not in roles.BASE_ROLES]:
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


def _required(scope: Scope | None) -> RequiredSignatures:
    return RequiredSignatures() if scope is None else scope.require
