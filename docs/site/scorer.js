// What the search puts first: the entry of an option, a code or a variable; then pages that are named so; decisions and changes last.
var Scorer = {
  score: ([page, title, , , score, , kind]) => {
    const words = (new URLSearchParams(location.search).get("q") || "").toLowerCase().match(/[\p{Letter}\p{Number}_]+/gu) || [];
    const places = words.map((word) => title.toLowerCase().indexOf(word));
    const named = places.filter((place) => place >= 0).length / Math.max(1, words.length);
    const early = 1 / (2 + Math.max(...places, 0));
    const last = /^(adr\/|changelog|contributing|releasing)/.test(page) ? -100 : 0;
    const home = /^(cli|configuration|errors|json)$/.test(page) ? 20 : 0;
    if (kind === "index") return score < 100 ? score / 10 : score + home;
    return last + ({ title: 20 + score, object: score }[kind] || 5) + 15 * named + early;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
