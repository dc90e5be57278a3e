/** Which models of the catalogue are on the server, folded away until asked for. */

import { useEffect, useState } from "react";

import { storedKey } from "../call/address.ts";
import { type CatalogueModel, fetchCatalogue, kindLabel, sizeText } from "./catalogue.ts";
import { shown } from "./words.ts";

/** Asks anew whenever `occasion` changes. */
export function Catalogue({ occasion }: { occasion: boolean }) {
  const [models, setModels] = useState<CatalogueModel[] | null>(null);
  useEffect(() => {
    let current = true;
    void fetchCatalogue(document.baseURI, storedKey()).then((answer) => {
      if (current && answer !== null) setModels(answer);
    });
    return () => {
      current = false;
    };
  }, [occasion]);
  if (models === null || models.length === 0) return null;
  const present = models.filter((model) => model.present).length;
  return (
    <details className="catalogue" data-testid="catalogue">
      <summary>
        <h2>Models on the server</h2>
        <span className="worker-detail">
          {present} of {models.length}
        </span>
      </summary>
      <ul>
        {models.map((model) => (
          <li key={model.id} className={model.present ? "model model-resident" : "model"}>
            <span className="model-name">
              <span>
                {shown(model.id)}
                <span className="unseen">{model.present ? ", here" : ", not fetched"}</span>{" "}
                <span className="worker-detail">
                  {[kindLabel(model.kind), sizeText(model.sizeBytes), model.licence]
                    .filter((fact) => fact !== "")
                    .map(shown)
                    .join(" · ")}
                </span>
              </span>
            </span>
          </li>
        ))}
      </ul>
      {present < models.length && (
        <p>
          The others are fetched on the server: <code>parlor models fetch ID</code>
        </p>
      )}
    </details>
  );
}
