// Prints the addresses of each name, `none` where there is none: by getaddrinfo, or by c-ares where that is the first argument.
const dns = require("dns/promises");
const [way, ...names] = process.argv.slice(2);

async function addresses(question) {
  try {
    return await question;
  } catch (error) {
    return ["ENOTFOUND", "ENODATA"].includes(error.code) ? [] : [error.code];
  }
}

async function look(name) {
  if (way === "c-ares") {
    return [...(await addresses(dns.resolve4(name))), ...(await addresses(dns.resolve6(name)))];
  }
  return (await addresses(dns.lookup(name, { all: true }))).map((found) => found.address || found);
}

(async () => {
  for (const name of names) {
    const found = await look(name);
    console.log(name, ...(found.length ? found : ["none"]));
  }
})();
