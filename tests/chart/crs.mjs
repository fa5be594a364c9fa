// Validates custom resources, given as a JSON list in a file, with the classes that were made
// from the Prometheus operator's definitions. Unknown keys pass here; the types find those.
// Runs from a folder below its packages: test_render.py copies it there.
import { readFileSync } from "node:fs";

let bad = 0;
for (const object of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  const { [object.kind]: Class } = await import(`@kubernetes-models/prometheus-operator/${object.apiVersion}/${object.kind}`);
  try {
    new Class(object).validate();
  } catch (error) {
    bad += 1;
    console.log(`${object.kind} ${object.metadata.name}: ${error.message}`);
  }
}
process.exit(bad ? 1 : 0);
