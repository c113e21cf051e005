// A column that fails to draw says so in its place; the others, and the run, go on.
import { Alert, Button } from "@mantine/core";
import { Component, type ReactNode } from "react";

export class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <Alert color="red" title="This part of the page could not be drawn" role="alert">
        <p>{error.message}. What is loaded and running is untouched.</p>
        <Button mt="sm" variant="default" onClick={() => this.setState({ error: null })}>
          Draw it again
        </Button>
      </Alert>
    );
  }
}
