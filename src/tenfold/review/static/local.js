// What both pages share: requests to the server that this page came from, and elements by their id.

export const at = (id) => document.getElementById(id);

/** The answer to a GET, or with a document to a POST. Throws an Error in words. */
export async function ask(name, given) {
  const options = given && {
    method: "POST", body: JSON.stringify(given), headers: { "Content-Type": "application/json" },
  };
  let answer;
  try {
    answer = await fetch(name, options);
  } catch {
    throw new Error("The program in the terminal has ended. What was answered before is not lost.");
  }
  const told = await answer.json();
  if (!answer.ok) throw new Error([told.error.found, told.error.remedy].filter(Boolean).join("; "));
  return told;
}

/** Shows the end of the page, and reads it out. */
export function end(title, words) {
  for (const part of document.querySelector("main").children) part.hidden = part.id !== "end";
  at("end-title").textContent = title;
  at("end-words").textContent = words;
  at("end").focus();
}
