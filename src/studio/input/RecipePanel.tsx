// The settings of a run: a handful in sight, the rest folded away, each with its line on what it does.
import { ActionIcon, Collapse, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { applies, defaultRecipe } from "../../session/recipe.ts";
import { Icon } from "../shared/Icon.tsx";
import { Panel } from "../shared/Panel.tsx";
import { linkTo, type RecipeKey, recipeKeys } from "../state/recipe_store.ts";
import { useRecipe, useSession, useStudio } from "../state/studio.ts";
import { HeadFields } from "./HeadFields.tsx";
import { RecipeField } from "./RecipeField.tsx";
import { useWarnings } from "./warnings.ts";

const basics: RecipeKey[] = ["method", "select", "granularity", "rank", "budget", "epochs", "batch", "keep"];
/** What the classifier reads depends on the model, and is chosen there; the head has fields of its own. */
const elsewhere: RecipeKey[] = ["pooling", "head", "headTrains", "prompts", "neighbours"];
const others = recipeKeys.filter((key) => !basics.includes(key) && !elsewhere.includes(key));

export function RecipePanel() {
  const { recipe: store } = useStudio();
  const recipe = useRecipe((state) => state.recipe);
  const problems = useRecipe((state) => state.problems);
  const running = useSession((state) => state.running);
  const warnings = useWarnings();
  const [more, setMore] = useState(() => others.some((key) => recipe[key] !== defaultRecipe[key]));
  const shown = (key: RecipeKey) => applies(key, recipe);
  const typed = useRecipe((state) => Object.keys(state.drafts).length > 0);
  const changed = typed || recipeKeys.some((key) => recipe[key] !== defaultRecipe[key]);

  async function copyLink() {
    const link = new URL(location.href);
    link.hash = linkTo(recipe);
    await navigator.clipboard.writeText(link.href);
    notifications.show({ message: "Link copied. It holds the recipe, never the data.", autoClose: 4000 });
  }

  return (
    <Panel
      title="Recipe"
      help="The settings of a run. The defaults are good to start with; the page's address holds them, so that a link reproduces the run on the same data."
      actions={
        <>
          <Tooltip label="Copy a link to this recipe">
            <ActionIcon size="sm" variant="subtle" aria-label="Copy a link to this recipe" onClick={copyLink}>
              <Icon name="link" />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="All settings to their defaults">
            <ActionIcon
              size="sm"
              variant="subtle"
              aria-label="All settings to their defaults"
              disabled={!changed || running}
              onClick={() => store.reset()}
            >
              <Icon name="reset" />
            </ActionIcon>
          </Tooltip>
        </>
      }
    >
      {problems.length > 0 && (
        <div className="unread" role="status">
          <ul className="issues">
            {problems.map((text) => (
              <li key={text} className="issue">
                <Icon name="warning" className="tone-warning" />
                <span>{text}</span>
              </li>
            ))}
          </ul>
          <button type="button" className="linkish" onClick={() => store.setState({ problems: [] })}>
            Dismiss
          </button>
        </div>
      )}
      {warnings.length > 0 && (
        <ul className="issues" aria-label="Before you start">
          {warnings.map((text) => (
            <li key={text} className="issue">
              <Icon name="warning" className="tone-warning" />
              <span>{text}</span>
            </li>
          ))}
        </ul>
      )}
      <div className="fields">
        {basics.filter(shown).map((key) => (
          <RecipeField key={key} name={key} recipe={recipe} locked={running} />
        ))}
      </div>
      <HeadFields recipe={recipe} locked={running} />
      <div>
        <button type="button" className="linkish" aria-expanded={more} onClick={() => setMore(!more)}>
          <Icon name="right" />
          More settings
        </button>
      </div>
      <Collapse expanded={more}>
        <div className="fields">
          {others.filter(shown).map((key) => (
            <RecipeField key={key} name={key} recipe={recipe} locked={running} />
          ))}
        </div>
      </Collapse>
    </Panel>
  );
}
